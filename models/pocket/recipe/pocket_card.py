# SPDX-License-Identifier: MIT
"""Writes the model card from measured figures.

python pocket_card.py FIGURES.json RUN/state.json [--training TEXT] > ../README.md
FIGURES.json comes from pocket_evaluate.py; the first model in it is the one shipped.
"""
import argparse
import json
import os

LABELS = {"facts": "greetings and facts about Cupola", "arithmetic": "addition, subtraction (worked)", "sorting": "sorting 2-4 numbers or words", "reversing": "reversing a list of 2-6", "counting": "counting letters (spelled first)",
          "spelling": "spelling words of 2-8 letters", "units": "unit conversions", "recall": "recalling a name, city or colour", "extraction": "fields of a sentence as JSON", "tools": "calling one of 4-6 tools", "known tools": "… of them: tools that training has, in other words", "new tools": "… of them: tools that training never met",
          "unknown": "saying that it does not know", "mean": "**mean**"}
GOAL = 90.0


def verdict(shipped):
    low = [LABELS[task] for task in LABELS if shipped[task] < GOAL and task not in ("mean", "known tools", "new tools")]
    if not low:
        return f"Every task of the table is answered exactly in at least {GOAL:.0f} % of the held-out prompts."
    return f"**Not there yet: this model is meant to answer {GOAL:.0f} % of the held-out prompts of each task exactly, and it misses that in: {'; '.join(low)}.**"


def main():
    args = argparse.ArgumentParser()
    args.add_argument("figures")
    args.add_argument("state")
    args.add_argument("--training", default="", help="what to say about the training beyond its length")
    args = args.parse_args()
    with open(args.figures) as f:
        figures = json.load(f)
    with open(args.state) as f:
        state = json.load(f)
    shipped, *others = figures["models"].values()
    other = others[0] if others else {}
    rows = [f"| {label} | {shipped[task]:.1f} | {other[task]:.1f} |" if other else f"| {label} | {shipped[task]:.1f} | |" for task, label in LABELS.items()]
    training = f"{state['tokens'] / 1e6:.1f} M tokens in {state['minutes']:.0f} minutes ({state['step']} steps) on two cores, PyTorch {state['torch'].split('+')[0]}, CPU, bf16. {args.training}".strip()
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "pocket_card.md")) as f:
        text = f.read()
    for mark, value in (("@VERDICT@", verdict(shipped)), ("@ROWS@", "\n".join(rows)), ("@N@", str(figures["count"])), ("@SEED@", str(figures["seed"])), ("@DATE@", figures["date"]), ("@TRAIN@", training)):
        text = text.replace(mark, value)
    print(text, end="")


if __name__ == "__main__":
    main()
