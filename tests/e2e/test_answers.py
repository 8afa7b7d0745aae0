# SPDX-License-Identifier: MIT
"""The bundled model's recorded questions: every answer exactly as recorded, alone and with 16 clients at once."""
import concurrent.futures
import json
import unittest

from service import ROOT, Service

CASES = ROOT / "models/pocket/evaluation.jsonl"
CLIENTS = 16


def message_text(message):
    """The message as the model wrote it: tool calls back in their tags."""
    calls = [{"name": c["function"]["name"], "arguments": json.loads(c["function"]["arguments"])}
             for c in message.get("tool_calls", [])]
    return (message["content"] or "") + "".join(
        "<tool_call>\n" + json.dumps(c, ensure_ascii=False) + "\n</tool_call>" for c in calls)


class Answers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with open(CASES, encoding="utf-8") as f:
            cls.cases = [json.loads(line) for line in f]
        cls.service = Service()

    @classmethod
    def tearDownClass(cls):
        assert cls.service.stop() == 0, cls.service.errors()

    def ask(self, case):
        members = {"tools": case["tools"]} if case.get("tools") else {}
        return self.service.chat(case["messages"], max_tokens=200, **members)

    def test_alone_and_together(self):
        alone = [self.ask(c) for c in self.cases]
        wrong = [(c["messages"][-1]["content"], c["answer"], message_text(a["choices"][0]["message"]))
                 for c, a in zip(self.cases, alone) if message_text(a["choices"][0]["message"]) != c["answer"]]
        for question, want, got in wrong:
            print(f"  {question!r}\n    want {want!r}\n    got  {got!r}")
        print(f"{len(self.cases) - len(wrong)} of {len(self.cases)} answers exact")
        self.assertEqual(len(wrong), 0)
        for case, answer in zip(self.cases, alone):
            self.assertEqual(answer["usage"]["prompt_tokens"], case["prompt_tokens"])
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            together = list(pool.map(self.ask, self.cases))
        for a, b in zip(alone, together):
            self.assertEqual(message_text(a["choices"][0]["message"]), message_text(b["choices"][0]["message"]))


if __name__ == "__main__":
    unittest.main(verbosity=2)
