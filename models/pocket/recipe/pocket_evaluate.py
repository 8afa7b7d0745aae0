# SPDX-License-Identifier: MIT
"""Runs held-out prompts through exported model folders with onnxruntime-genai, greedily, and counts exact answers.

python pocket_evaluate.py MODEL [MODEL ...] [--count 600] [--seed 7] [--json FILE] [--cases FILE --cases-per-task 10]
--cases writes held-out cases that the first MODEL answered exactly, for end-to-end tests of an engine.
"""
import argparse
import json
import os
import random
import time

import onnxruntime_genai as og
from transformers import AutoTokenizer

import pocket_data as data
from pocket_words import Words


def held_out(task, count, seed):
    """`count` different examples of a task, from held-out words and phrasings."""
    words = Words(random.Random(f"{seed}-{task}"), held_out=True)
    out, seen = [], set()
    while len(out) < count:
        case = data.example(words, task)
        key = json.dumps(case)
        if key not in seen:
            seen.add(key)
            out.append(case)
    return out


WRITTEN_NAMES = {name for row in data.WRITTEN for name in row[0].split("|")}


def called(answer):
    """Whether a tools answer calls a tool of the training rows, or one never met."""
    return "known tools" if json.loads(answer.split("\n")[1])["name"] in WRITTEN_NAMES else "new tools"


def as_sent(messages):
    """The messages as an OpenAI client sends them: calls have ids, which their results name, and arguments in a text."""
    out, count = [], 0
    for message in messages:
        message = dict(message)
        if "tool_calls" in message:
            count += 1
            calls = [call["function"] for call in message["tool_calls"]]
            message["tool_calls"] = [{"id": f"call_{count}", "type": "function", "function": {"name": call["name"], "arguments": json.dumps(call["arguments"], ensure_ascii=False)}} for call in calls]
        elif message["role"] == "tool":
            message["tool_call_id"] = f"call_{count}"
        out.append(message)
    return out


class Model:
    def __init__(self, folder):
        config = og.Config(folder)
        self.model = og.Model(config)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        with open(os.path.join(folder, "genai_config.json")) as f:
            self.stop = set(json.load(f)["model"]["eos_token_id"])

    def answer(self, messages, tools, limit=160):
        text = self.tokenizer.apply_chat_template(messages, tools=tools, tokenize=False, add_generation_prompt=True)
        ids = self.tokenizer.encode(text, add_special_tokens=False)
        params = og.GeneratorParams(self.model)
        params.set_search_options(do_sample=False, max_length=min(2048, len(ids) + limit), batch_size=1)
        generator = og.Generator(self.model, params)
        generator.append_tokens(ids)
        out = []
        while not generator.is_done():
            generator.generate_next_token()
            token = int(generator.get_next_tokens()[0])
            if token in self.stop:
                break
            out.append(token)
        return self.tokenizer.decode(out, skip_special_tokens=True), len(ids)


def main():
    args = argparse.ArgumentParser()
    args.add_argument("models", nargs="+")
    args.add_argument("--count", type=int, default=600)
    args.add_argument("--seed", type=int, default=7)
    args.add_argument("--tasks", default=",".join(data.TASKS))
    args.add_argument("--json")
    args.add_argument("--cases")
    args.add_argument("--cases-per-task", type=int, default=10)
    args.add_argument("--show", type=int, default=0, help="print this many wrong answers a task")
    args = args.parse_args()
    result = {"count": args.count, "seed": args.seed, "date": time.strftime("%Y-%m-%d"), "models": {}}
    cases = []
    for folder in args.models:
        model, figures = Model(folder), {}
        for task in args.tasks.split(","):
            right, shown, kept, kinds = 0, 0, 0, {}
            for messages, tools, want in held_out(task, args.count, args.seed):
                got, length = model.answer(messages, tools)
                right += got == want
                if task == "tools":
                    kinds.setdefault(called(want), []).append(got == want)
                if got == want and kept < args.cases_per_task and folder == args.models[0]:
                    kept += 1
                    cases.append({"task": task, "messages": as_sent(messages), **({"tools": tools} if tools else {}), "answer": want, "prompt_tokens": length})
                if got != want and shown < args.show:
                    shown += 1
                    print(f"    {task}: {messages[-1]['content']!r}\n      want {want!r}\n      got  {got!r}")
            figures[task] = round(100 * right / args.count, 1)
            figures.update({kind: round(100 * sum(hits) / len(hits), 1) for kind, hits in sorted(kinds.items())})
            print(f"{os.path.basename(folder.rstrip('/'))} {task:12s} {figures[task]:5.1f}", *(f"({kind} {figures[kind]:.1f})" for kind in sorted(kinds)), flush=True)
        figures["mean"] = round(sum(figures[task] for task in args.tasks.split(",")) / len(args.tasks.split(",")), 1)
        print(f"{os.path.basename(folder.rstrip('/'))} mean {figures['mean']}", flush=True)
        result["models"][os.path.basename(folder.rstrip("/"))] = figures
    if args.json:
        with open(args.json, "w") as f:
            json.dump(result, f, indent=1)
    if args.cases:
        with open(args.cases, "w") as f:
            f.writelines(json.dumps(case, ensure_ascii=False) + "\n" for case in cases)


if __name__ == "__main__":
    main()
