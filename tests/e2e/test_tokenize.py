#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`cupola tokenize --show` and `--diff`, `cupola bench --tokenizer`: the real binary on the core fixtures."""
import json
import os
import pathlib
import pty
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BINARY = os.environ.get("CUPOLA_BIN", str(ROOT / "build/release/cupola"))
FIXTURES = ROOT / "tests/fixtures/tokenizers"
LLAMA, GEMMA, BERT = (str(FIXTURES / n) for n in ("llama3-style", "gemma-style", "minilm-l6-bert-uncased"))


def run(*args, text="", env=None):
    p = subprocess.run([BINARY, *args], input=text.encode() if isinstance(text, str) else text, capture_output=True,
                       env={**os.environ, **(env or {})}, timeout=300, check=False)
    return p.returncode, p.stdout.decode(), p.stderr.decode()


def on_terminal(command, env=None):
    """What a command writes to a terminal."""
    master, slave = pty.openpty()
    p = subprocess.Popen(["sh", "-c", command], stdout=slave, env={**os.environ, **(env or {})})
    os.close(slave)
    said = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # how Linux says that the other end is closed
            break
        if not part:
            break
        said += part
    os.close(master)
    return p.wait(60), said.decode()


class Show(unittest.TestCase):
    def lines(self, model, text):
        code, out, err = run("tokenize", model, "--show", text=text)
        self.assertEqual((code, err), (0, ""))
        return [tuple(line.split("\t")) for line in out.split("\n")[:-1]]

    def test_a_line_for_each_token_without_a_terminal(self):
        self.assertEqual(self.lines(LLAMA, "Hello wörld\n"), [
            ("0-0", "25000", '"<|begin_of_text|>"'), ("0-5", "9906", '"Hello"'), ("5-7", "289", '" w"'),
            ("7-10", "9603", '"ör"'), ("10-12", "509", '"ld"'), ("12-13", "198", '"\\n"')])

    def test_ids_are_those_of_tokenize(self):
        text = (FIXTURES / "long-mixed.txt").read_text(encoding="utf-8")
        for model in (LLAMA, GEMMA, BERT):
            code, out, _ = run("tokenize", model, text=text)
            self.assertEqual(code, 0)
            self.assertEqual([line[1] for line in self.lines(model, text)], out.split())

    def test_parts_of_characters_are_shown_as_bytes(self):
        self.assertEqual([line[2] for line in self.lines(LLAMA, "🙃")][1:], ['"<0xF0><0x9F>"', '"<0x99>"', '"<0x83>"'])
        self.assertEqual([line[2] for line in self.lines(GEMMA, "🙃")][-4:], ['"<0xF0>"', '"<0x9F>"', '"<0x99>"', '"<0x83>"'])

    def test_places_cover_the_text_in_order(self):
        text = (FIXTURES / "long-mixed.txt").read_bytes()
        for model in (LLAMA, GEMMA, BERT):
            at = 0
            for place, _, _ in self.lines(model, text):
                start, end = map(int, place.split("-"))
                self.assertLessEqual(at, end)
                self.assertLessEqual(start, end)
                at = end
            self.assertEqual(at > len(text) - 4, True)

    def test_lower_case_is_found_in_the_text(self):
        self.assertEqual(self.lines(BERT, "Hello World"), [
            ("0-0", "101", '" [CLS]"'), ("0-5", "7592", '" hello"'), ("5-11", "2088", '" world"'), ("11-11", "102", '" [SEP]"')])

    def test_bytes_that_are_no_text(self):
        self.assertEqual(self.lines(LLAMA, b"a\xffb")[-1][0], "2-3")

    def test_colours_on_a_terminal_only(self):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as f:
            f.write("Hello world")
            f.flush()
            command = f"'{BINARY}' tokenize '{LLAMA}' --show < '{f.name}'"
            code, said = on_terminal(command, {"NO_COLOR": ""})
            self.assertEqual(code, 0)
            self.assertIn("\x1b[48;5;", said)
            self.assertIn("Hello\x1b[0m\x1b[2m9906", said)
            code, said = on_terminal(command, {"NO_COLOR": "1"})
            self.assertEqual(code, 0)
            self.assertNotIn("\x1b", said)
            self.assertIn('9906\t"Hello"', said)


class Diff(unittest.TestCase):
    def test_a_tokenizer_is_equal_to_itself(self):
        code, out, err = run("tokenize", LLAMA, "--diff", LLAMA, text="Hello 12345 🙃\n")
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(len(out.splitlines()), 2)

    def test_spans_are_shown_with_both_cuts(self):
        code, out, err = run("tokenize", LLAMA, "--diff", GEMMA, text="x 123\n")
        self.assertEqual((code, err), (1, ""))
        self.assertTrue(out.startswith(f"--- {LLAMA}: 5 tokens\n+++ {GEMMA}: "), out)
        self.assertIn('@@ 2-5 "123"\n- "123" 4513\n+ "1" 7364 "2" 7374 "3" 7388\n', out)
        self.assertIn("1 spans are cut differently", out)

    def test_other_ids_for_the_same_cuts_are_different(self):
        code, out, _ = run("tokenize", LLAMA, "--diff", GEMMA, text="Hello")
        self.assertEqual(code, 1)
        self.assertNotIn("@@", out)
        self.assertIn("spans are cut alike and have other ids", out)

    def test_a_token_around_the_text_is_a_difference(self):
        code, out, _ = run("tokenize", LLAMA, "--diff", str(FIXTURES / "smollm-style"), text="")
        self.assertEqual(code, 1)
        self.assertIn("<|begin_of_text|>", out)

    def test_wrong_use(self):
        self.assertEqual(run("tokenize", LLAMA, "--diff", "nosuchmodel", text="a")[0], 1)
        self.assertEqual(run("tokenize", LLAMA, "--diff", GEMMA, "--jsonl", text="")[0], 2)
        self.assertIn("--diff OTHER_MODEL", run("tokenize", "--help")[1])


class Bench(unittest.TestCase):
    def test_table_without_a_reference(self):
        code, out, err = run("bench", "--tokenizer", LLAMA, BERT, "--repeat", "1", "--reference", "none",
                             "--text", str(FIXTURES / "long-mixed.txt"))
        self.assertEqual((code, err), (0, ""))
        rows = [line.split()[:3] for line in out.splitlines() if line.startswith(("llama3", "minilm"))]
        self.assertEqual([r[1] for r in rows], ["load", "encode", "decode", "template"] * 2)
        self.assertIn("reference: none", out)

    def test_script_is_asked_and_answers(self):
        with tempfile.NamedTemporaryFile("w", suffix=".py") as f:
            f.write("import sys\nprint('libraries', flush=True)\n"
                    "for line in sys.stdin:\n    verb = line.split('\\t')[0]\n"
                    "    print('- cannot' if verb.startswith('tt') else '0.5 7', flush=True)\n")
            f.flush()
            code, out, _ = run("bench", "--tokenizer", LLAMA, "--repeat", "2", "--json", "--reference", f.name,
                               "--python", sys.executable)
        self.assertEqual(code, 0)
        rows = {r["test"]: r for r in map(json.loads, out.splitlines())}
        self.assertEqual(rows["encode"]["reference"], 2.0)  # 1 MB in half a second
        self.assertGreater(rows["encode"]["ratio_reference"], 0)
        self.assertIsNone(rows["encode"]["tiktoken"])
        self.assertEqual(rows["encode"]["notes"]["tiktoken"], "cannot")
        self.assertEqual(rows["load"]["reference"], 500.0)

    def test_shipped_script_says_what_is_missing(self):
        code, out, _ = run("bench", "--tokenizer", BERT, "--repeat", "1", "--reference",
                           str(ROOT / "tools/bench_tokenizers.py"), "--python", sys.executable)
        self.assertEqual(code, 0)
        self.assertRegex(out, r"reference: .*tokenizers (\d|is not installed)")

    def test_wrong_use(self):
        self.assertEqual(run("bench", LLAMA, BERT)[0], 2)
        self.assertEqual(run("bench", "--tokenizer", "nosuchmodel", "--reference", "none")[0], 1)
        self.assertEqual(run("bench", "--tokenizer", LLAMA, "--reference", "/no/such.py")[0], 1)


if __name__ == "__main__":
    unittest.main()
