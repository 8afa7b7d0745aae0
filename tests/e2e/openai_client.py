# SPDX-License-Identifier: MIT
"""The stock `openai` package: chats, streams, stops early, fails as its users expect. Run by test_openai.sh."""
import asyncio
import base64
import concurrent.futures
import json
import struct
import unittest

import openai

from service import ROOT, Service

QUESTIONS = ["Hello!", "What is 3 + 4?", "What is 12 - 5?", "What is Cupola?", "Who made you?", "Spell cat.",
             "Reverse: a b c", "Sort: 3, 1, 2", "What is 100 + 23?", "How many letters are in dog?", "Hi there",
             "What can you do?", "What is 7 - 9?", "Which formats do you read?", "Good morning!", "What is 250 + 250?"]
WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "The weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}


class OpenAI(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = Service()
        cls.client = openai.OpenAI(base_url=cls.service.url + "/v1", api_key="unused", max_retries=0)
        cls.model = cls.client.models.list().data[0].id

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        assert cls.service.stop() == 0, cls.service.errors()

    def ask(self, content, **members):
        return self.client.chat.completions.create(
            model=self.model, messages=[{"role": "user", "content": content}], temperature=0, **members)

    def text(self, content, **members):
        return self.ask(content, **members).choices[0].message.content

    def test_models(self):
        self.assertEqual(self.client.models.retrieve(self.model).id, self.model)
        with self.assertRaises(openai.NotFoundError):
            self.client.models.retrieve("no-such-model")

    def test_chats(self):
        r = self.ask("What is 3 + 4?")
        self.assertIn("7", r.choices[0].message.content)
        self.assertEqual(r.choices[0].finish_reason, "stop")
        self.assertEqual(r.usage.total_tokens, r.usage.prompt_tokens + r.usage.completion_tokens)
        self.assertTrue(r.system_fingerprint.startswith("fp_"))
        self.assertTrue(r._request_id)

    def test_streams(self):
        whole = self.text("What is 12 + 30?")
        chunks = list(self.ask("What is 12 + 30?", stream=True, stream_options={"include_usage": True}))
        self.assertEqual(chunks[0].choices[0].delta.role, "assistant")
        self.assertEqual("".join(c.choices[0].delta.content or "" for c in chunks if c.choices), whole)
        self.assertEqual([c.choices[0].finish_reason for c in chunks if c.choices][-1], "stop")
        self.assertGreater(chunks[-1].usage.completion_tokens, 0)
        self.assertGreater(len(chunks), 5)

    def test_stops_early(self):
        whole = self.text("What is 12 + 30?")
        stop = whole[6:9]
        r = self.ask("What is 12 + 30?", stop=[stop])
        self.assertEqual(r.choices[0].message.content, whole[:whole.index(stop)])
        self.assertEqual(self.ask("What is 12 + 30?", max_completion_tokens=2).choices[0].finish_reason, "length")

    def test_leaves_a_stream(self):
        s = self.ask("Hello!", stream=True, max_tokens=1800, extra_body={"min_tokens": 1500})
        for i, _ in enumerate(s):
            if i == 3:
                break
        s.close()
        self.assertLess(self.service.wait_metric("cupola_generations_running", 0), 2)

    def test_sixteen_clients_get_what_one_gets(self):
        alone = [self.text(q) for q in QUESTIONS]

        def one(i):
            client = openai.OpenAI(base_url=self.service.url + "/v1", api_key="k", max_retries=0)
            with client, client.chat.completions.create(
                    model=self.model, messages=[{"role": "user", "content": QUESTIONS[i % 16]}],
                    temperature=0, stream=True) as s:
                return "".join(c.choices[0].delta.content or "" for c in s)
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            together = list(pool.map(one, range(64)))
        self.assertEqual(together, alone * 4)

    def test_asynchronous(self):
        async def all_of_them():
            async with openai.AsyncOpenAI(base_url=self.service.url + "/v1", api_key="k") as client:
                return await asyncio.gather(*[client.chat.completions.create(
                    model=self.model, messages=[{"role": "user", "content": q}], temperature=0) for q in QUESTIONS])
        answers = asyncio.run(all_of_them())
        self.assertEqual([a.choices[0].message.content for a in answers], [self.text(q) for q in QUESTIONS])

    def test_calls_a_tool_that_is_required(self):
        named = {"type": "function", "function": {"name": "get_weather"}}
        r = self.ask("What is the weather in Oslo?", tools=[WEATHER], tool_choice=named, max_tokens=60)
        call = r.choices[0].message.tool_calls[0]
        self.assertEqual((call.type, call.function.name), ("function", "get_weather"))
        self.assertEqual(r.choices[0].finish_reason, "tool_calls")
        self.assertIsInstance(json.loads(call.function.arguments), dict)
        chunks = self.ask("What is the weather in Oslo?", tools=[WEATHER], tool_choice=named, max_tokens=60, stream=True)
        deltas = [d for c in chunks for d in c.choices[0].delta.tool_calls or []]
        self.assertEqual(deltas[0].function.name, "get_weather")
        self.assertEqual("".join(d.function.arguments or "" for d in deltas), call.function.arguments)
        follow = self.client.chat.completions.create(model=self.model, temperature=0, tools=[WEATHER], messages=[
            {"role": "user", "content": "What is the weather in Oslo?"}, r.choices[0].message,
            {"role": "tool", "tool_call_id": call.id, "content": '{"weather": "rain"}'}])
        self.assertTrue(follow.choices[0].message)

    def test_wrong_requests(self):
        for member, value in [("temperature", 3), ("top_p", 2), ("n", 0), ("max_tokens", 0), ("stop", ["a"] * 5),
                              ("presence_penalty", 5), ("logit_bias", {"x": 1})]:
            with self.subTest(member=member), self.assertRaises(openai.BadRequestError) as e:
                members = {"temperature": 0, member: value}
                self.client.chat.completions.create(
                    model=self.model, messages=[{"role": "user", "content": "x"}], **members)
            self.assertTrue(e.exception.param.startswith(member), e.exception)
            self.assertEqual(e.exception.type, "invalid_request_error")
        with self.assertRaises(openai.NotFoundError) as e:
            self.client.chat.completions.create(model="none", messages=[{"role": "user", "content": "x"}])
        self.assertEqual((e.exception.param, e.exception.code), ("model", "model_not_found"))
        with self.assertRaises(openai.BadRequestError) as e:
            self.ask("word " * 5000)
        self.assertEqual(e.exception.code, "context_length_exceeded")


class Embeddings(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = Service(model=str(ROOT / "models/minilm"))
        cls.client = openai.OpenAI(base_url=cls.service.url + "/v1", api_key="unused", max_retries=0)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        assert cls.service.stop() == 0, cls.service.errors()

    def embed(self, given, **members):
        return self.client.embeddings.create(model="minilm", input=given, **members)

    def test_texts(self):
        r = self.embed(["How do I reset my password?", "I forgot my login.", "Two cups of flour and an egg."])
        password, login, flour = (d.embedding for d in r.data)  # the package asks for base64 and decodes it
        self.assertEqual([d.index for d in r.data], [0, 1, 2])
        self.assertEqual(len(password), 384)
        self.assertAlmostEqual(dot(password, password), 1, 5)
        self.assertGreater(dot(password, login), dot(password, flour) + 0.3)
        self.assertEqual(r.usage.prompt_tokens, r.usage.total_tokens)
        self.assertGreater(r.usage.prompt_tokens, 15)

    def test_float_and_base64_are_the_same(self):
        numbers = self.embed("Bees dance.", encoding_format="float").data[0].embedding
        text = self.client.embeddings.with_raw_response.create(model="minilm", input="Bees dance.", encoding_format="base64")
        raw = json.loads(text.http_response.text)["data"][0]["embedding"]
        self.assertEqual(list(struct.unpack("<384f", base64.b64decode(raw))), self.singles(numbers))
        self.assertEqual(self.singles(self.embed("Bees dance.").data[0].embedding), self.singles(numbers))

    @staticmethod
    def singles(numbers):
        return list(struct.unpack(f"<{len(numbers)}f", struct.pack(f"<{len(numbers)}f", *numbers)))

    def test_token_ids(self):
        text = self.embed("hello world").data[0].embedding
        ids = [101, 7592, 2088, 102]
        self.assertEqual(self.embed(ids).data[0].embedding, text)
        self.assertEqual([d.embedding for d in self.embed([ids, ids]).data], [text, text])
        self.assertEqual(self.embed(ids).usage.prompt_tokens, 4)

    def test_dimensions(self):
        whole, cut = self.embed("hello").data[0].embedding, self.embed("hello", dimensions=32).data[0].embedding
        self.assertEqual(len(cut), 32)
        self.assertAlmostEqual(dot(cut, cut), 1, 5)
        self.assertAlmostEqual(dot(cut, whole[:32]), dot(whole[:32], whole[:32]) ** 0.5, 5)

    def test_together_as_alone(self):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            together = list(pool.map(lambda q: self.embed(q).data[0].embedding, QUESTIONS))
        at_once = [d.embedding for d in self.embed(QUESTIONS).data]
        self.assertEqual(together, at_once)

    def test_wrong_requests(self):
        for given, members, param in [("", {}, "input"), ([], {}, "input"), (["a", ""], {}, "input"), ([1, 10**6], {}, "input"),
                                      ("word " * 600, {}, "input"), (["a"] * 2049, {}, "input"), ("a", {"dimensions": 385}, "dimensions"),
                                      ("a", {"dimensions": 0}, "dimensions"), ("a", {"encoding_format": "hex"}, "encoding_format")]:
            with self.subTest(param=param, members=members), self.assertRaises(openai.BadRequestError) as e:
                self.embed(given, **members)
            self.assertEqual((e.exception.param, e.exception.type), (param, "invalid_request_error"))
        with self.assertRaises(openai.BadRequestError) as e:
            self.client.chat.completions.create(model="minilm", messages=[{"role": "user", "content": "x"}])
        self.assertEqual(e.exception.param, "model")
        with self.assertRaises(openai.NotFoundError):
            self.client.embeddings.create(model="none", input="a")


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


if __name__ == "__main__":
    unittest.main(verbosity=2)
