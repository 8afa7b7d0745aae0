#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The reference libraries beside `cupola bench --tokenizer`, which starts this and asks line by line:

    VERB<tab>FOLDER<tab>TEXT FILE   ->   SECONDS COUNT    (one repetition, CPU time of one thread)
                                    ->   - WHY NOT

Verbs: load, encode, decode by Hugging Face's tokenizers; template by jinja2, set up as transformers sets it up;
tt_encode, tt_decode by tiktoken, where the folder is byte-level BPE under one regular expression."""
import base64
import datetime
import importlib
import json
import os
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"


class Cannot(Exception):
    """Why the reference does not do what is asked."""


def library(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        raise Cannot(f"{name} is not installed") from None


def read_json(path, default=None):
    if default is not None and not os.path.exists(path):
        return default
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def timed(work):
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


# ---- tokenizers ----

def open_tokenizers(folder):
    path = os.path.join(folder, "tokenizer.json")
    tokenizers = library("tokenizers")
    if not os.path.exists(path):
        raise Cannot("no tokenizer.json")
    tokenizer = tokenizers.Tokenizer.from_file(path)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


# ---- tiktoken ----

def byte_alphabet():
    """Character of the byte-level alphabet -> byte."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [b for b in range(256) if b not in plain]
    return {**{chr(b): b for b in plain}, **{chr(0x100 + i): b for i, b in enumerate(rest)}}


def ranks_of_json(folder):
    """(pattern, ranks) of a tokenizer.json that tiktoken can stand for."""
    data = read_json(os.path.join(folder, "tokenizer.json"))
    pre, model = data.get("pre_tokenizer") or {}, data["model"]
    parts = pre.get("pretokenizers", [])
    normalizer = (data.get("normalizer") or {}).get("type")  # NFC goes unread: tiktoken does less there
    if (model.get("type") != "BPE" or normalizer not in (None, "NFC")
            or [p["type"] for p in parts] != ["Split", "ByteLevel"] or "Regex" not in parts[0]["pattern"]):
        raise Cannot("not one regular expression over byte-level BPE")
    alphabet = byte_alphabet()
    added = {a["content"] for a in data.get("added_tokens", [])}
    try:
        ranks = {bytes(alphabet[c] for c in piece): i for piece, i in model["vocab"].items() if piece not in added}
    except KeyError:
        raise Cannot("a piece outside the byte-level alphabet") from None
    return parts[0]["pattern"]["Regex"], ranks


CL100K = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")


def ranks_of_file(folder):
    names = [n for n in os.listdir(folder) if n.endswith(".tiktoken")]
    if len(names) != 1:
        raise Cannot("no tokenizer.json and no single *.tiktoken file")
    with open(os.path.join(folder, names[0]), "rb") as f:
        rows = [line.split() for line in f if line.strip()]
    ranks = {base64.b64decode(piece): int(rank) for piece, rank in rows}
    module = read_json(os.path.join(folder, "tokenizer_module.json"), {})
    if "pattern" not in module and not 100000 <= len(ranks) < 101000:
        raise Cannot("the ranks do not say their pattern")
    return module.get("pattern", CL100K), ranks


def open_tiktoken(folder):
    tiktoken = library("tiktoken")
    is_json = os.path.exists(os.path.join(folder, "tokenizer.json"))
    pattern, ranks = ranks_of_json(folder) if is_json else ranks_of_file(folder)
    if any(bytes([b]) not in ranks for b in range(256)):
        raise Cannot("not every byte is in the vocabulary")
    return tiktoken.Encoding(folder, pat_str=pattern, mergeable_ranks=ranks, special_tokens={})


# ---- templates ----

def open_template(folder):
    """(compiled template, special tokens)"""
    library("jinja2")
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    config = read_json(os.path.join(folder, "tokenizer_config.json"), {})
    source = config.get("chat_template")
    path = os.path.join(folder, "chat_template.jinja")
    if os.path.exists(path):
        with open(path, encoding="utf-8") as f:
            source = f.read()
    if isinstance(source, list):
        source = {t["name"]: t["template"] for t in source}.get("default")
    if not source:
        raise Cannot("no chat template")

    def raise_exception(message):
        raise ValueError(message)

    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    env.filters["tojson"] = lambda x, ensure_ascii=False, indent=None, separators=None, sort_keys=False: json.dumps(
        x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda fmt: datetime.datetime.now().strftime(fmt)
    tokens = {}
    for name in ("bos_token", "eos_token", "unk_token", "pad_token"):
        value = config.get(name)
        tokens[name] = value["content"] if isinstance(value, dict) else value
    return env.from_string(source), {k: v for k, v in tokens.items() if v is not None}


def conversation():
    """The same hundred messages that the program renders."""
    return [{"role": "assistant" if i % 2 else "user",
             "content": f"Message {i}: what does the number {i * i} mean here, and why? Please explain it in two sentences."}
            for i in range(100)]


# ---- answering ----

class Bench:
    def __init__(self):
        self.opened, self.ids = {}, {}

    def get(self, kind, folder, opener):
        key = kind, folder
        if key not in self.opened:
            self.opened[key] = opener(folder)
        return self.opened[key]

    def tokenizers(self, folder):
        return self.get("hf", folder, open_tokenizers)

    def tiktoken(self, folder):
        return self.get("tt", folder, open_tiktoken)

    def load(self, folder, _):
        seconds, _ = timed(lambda: open_tokenizers(folder))
        return seconds, 0

    def encode(self, folder, text):
        tokenizer = self.tokenizers(folder)
        seconds, encoding = timed(lambda: tokenizer.encode(text, add_special_tokens=False))
        self.ids[folder] = encoding.ids
        return seconds, len(encoding.ids)

    def decode(self, folder, text):
        tokenizer = self.tokenizers(folder)
        if folder not in self.ids:
            self.encode(folder, text)
        seconds, out = timed(lambda: tokenizer.decode(self.ids[folder], skip_special_tokens=False))
        return seconds, len(out.encode())

    def template(self, folder, _):
        template, tokens = self.get("jinja", folder, open_template)
        messages = conversation()
        try:
            seconds, out = timed(lambda: template.render(messages=messages, tools=None, documents=None,
                                                         add_generation_prompt=True, **tokens))
        except Exception as e:  # whatever a template raises
            raise Cannot(f"the template fails: {e}") from None
        return seconds, len(out.encode())

    def tt_encode(self, folder, text):
        encoding = self.tiktoken(folder)
        seconds, ids = timed(lambda: encoding.encode_ordinary(text))
        self.ids["tt", folder] = ids
        return seconds, len(ids)

    def tt_decode(self, folder, text):
        encoding = self.tiktoken(folder)
        if ("tt", folder) not in self.ids:
            self.tt_encode(folder, text)
        seconds, out = timed(lambda: encoding.decode(self.ids["tt", folder]))
        return seconds, len(out.encode())


VERBS = ("load", "encode", "decode", "template", "tt_encode", "tt_decode")


def about():
    said = []
    for name in ("tokenizers", "tiktoken", "jinja2"):
        try:
            version = getattr(library(name), "__version__", None)
            if version is None:
                from importlib import metadata
                version = metadata.version(name)
            said.append(f"{name} {version}")
        except Cannot as e:
            said.append(str(e))
    return ", ".join(said)


def main():
    bench, texts = Bench(), {}
    print(about(), flush=True)
    for line in sys.stdin:
        verb, folder, path = line.rstrip("\n").split("\t")
        try:
            if verb not in VERBS:
                raise Cannot(f"{verb}: no such verb")
            if path not in texts:
                with open(path, encoding="utf-8", errors="replace", newline="") as f:
                    texts[path] = f.read()
            seconds, count = getattr(bench, verb)(folder, texts[path])
            print(f"{seconds:.9f} {count}", flush=True)
        except Exception as e:  # one answer a line, whatever happens
            print("- " + " ".join(str(e).split())[:140], flush=True)


if __name__ == "__main__":
    main()
