# SPDX-License-Identifier: MIT
"""The tasks: each function makes one (request, answer) pair from one split of words and phrasings.

Phrasings come in two lists, [0] for training and [1] held out. A leading "?" marks a question, anything else is an imperative;
`ask` puts a random wrapper around them ("could you ...").
"""
import json

from pocket_asks_made import made_ask
from pocket_facts import FACTS, GREETINGS, NAMES_OF_CUPOLA
from pocket_frames import MORE_EXTRACT, MORE_FRAMES, MORE_UNKNOWN
from pocket_frames_made import made_frame
from pocket_frames_wide import WIDE_FRAMES
from pocket_words import ANIMALS, CITIES, COUNTRIES, DAYS, JOBS, MONTHS, fill, spin

SORRY = "Sorry, I do not know that."
NO_TOOL = "Sorry, I have no tool for that."
NOT_TOLD = "You have not told me that yet."

WRAP_DO = ["<x>"] * 10 + ["please <x>", "<x> please", "<x>, please", "can you <x>?", "could you <x>?", "could you please <x>?", "can you please <x>?", "would you <x>?", "now <x>",
           "hey, <x>", "I need you to <x>", "I want you to <x>", "next, <x>", "ok, <x>", "hi, please <x>", "will you <x>?", "hello! <x>", "<x> for me", "help me to <x>", "next task: <x>",
           "try to <x>", "let us <x>", "Pocket, <x>", "dear Pocket, <x>", "be so kind and <x>", "I'd love you to <x>", "I'd be glad if you could <x>", "I ask you to <x>", "task 3: <x>", "right, <x>", "fine, <x>", "well then, <x>", "just <x>", "quickly <x>",
           "here is a task: <x>", "I'd appreciate it if you could <x>", "let me see you <x>", "first, <x>", "then <x>", "again, <x>", "you should <x>", "your job: <x>", "exercise: <x>", "do me a favour and <x>", "good morning, <x>", "hello, can you <x>?", "come on, <x>", "it is time to <x>", "go on and <x>",
           "my next wish: <x>", "show me that you can <x>", "would you please <x>?", "might you <x>?", "I'd want you to <x>", "can I ask you to <x>?", "for my homework, <x>", "in short: <x>", "so, <x>", "here we go: <x>", "and now <x>"]
WRAP_DO_HELD = ["<x>", "kindly <x>", "go ahead and <x>", "I would like you to <x>", "I'd like to see you <x>", "would you kindly <x>?", "your turn: <x>", "alright, <x>", "hello Pocket, <x>"]
WRAP_ASK = ["<x>?"] * 10 + ["<x>", "<x>", "please tell me: <x>?", "hey, <x>?", "tell me, <x>?", "quick question: <x>?", "I want to know: <x>?", "ok, <x>?", "can you tell me: <x>?", "hi, <x>?",
            "and <x>?", "so <x>?", "well, <x>?", "<x>, please?", "now tell me: <x>?", "hello! <x>?", "question: <x>?", "excuse me, <x>?", "I wonder: <x>?", "do you know: <x>?",
            "Pocket, <x>?", "dear Pocket, <x>?", "a further question: <x>?", "may I ask: <x>?", "right, <x>?", "fine, <x>?", "my question is: <x>?", "I would like to know: <x>?", "next question: <x>?", "now, <x>?", "then <x>?", "good morning, <x>?", "sorry, <x>?", "can you say: <x>?", "here is my question: <x>?",
            "I am curious: <x>?", "just asking: <x>?", "by the way, <x>?", "let me know: <x>?", "one question: <x>?", "help me: <x>?", "a short one: <x>?"]
WRAP_ASK_HELD = ["<x>?", "<x>", "another question: <x>?", "let me ask: <x>?", "alright, <x>?", "I have a question: <x>?", "I'd like to know, <x>?", "hello Pocket, <x>?", "one more thing: <x>?"]


def lead(rng, text):
    """Mostly a capital first letter."""
    if rng.random() < 0.8:
        text = text[0].upper() + text[1:]
    return text


def ask(words, phrasings, **slots):
    """A request from one of the phrasings, in a wrapper, with or without punctuation."""
    rng = words.rng
    text = spin(rng, rng.choice(phrasings[words.held_out]))
    question = text.startswith("?")
    text = text.lstrip("?")
    wraps = (WRAP_ASK_HELD if question else WRAP_DO_HELD) if words.held_out else (WRAP_ASK if question else WRAP_DO)
    wrap = rng.choice(wraps)
    if "<s>" in text and not text.endswith("<s>"):  # a sentence, then the request: no wrapper fits
        wrap = "<x>"
    elif text.endswith("<s>"):  # a whole sentence ends it: nothing may follow
        wrap = wrap.split("<x>")[0] + "<x>"
    elif wrap.endswith("<x>") and text[-1] not in "?.:=" and rng.random() < 0.35:
        wrap += "." if not question else ""
    if not words.held_out and rng.random() < 0.1:
        wrap = odd_opening(words) + wrap
    return lead(rng, fill(wrap.replace("<x>", text), **slots))


def odd_opening(words):
    """Words before a request that mean nothing to it: what to ignore is learned, not listed."""
    rng = words.rng
    opening = " ".join(words.word(2, 8) for _ in range(rng.randint(1, 3)))
    return rng.choice([opening, opening.capitalize(), words.name()]) + rng.choice([", ", ", ", ": ", ". ", "! "])


# --- greetings and facts ---------------------------------------------------------------------------------------------------------

def greeting(words):
    rng = words.rng
    answer, train, heldout = rng.choice(GREETINGS)
    text = spin(rng, rng.choice(heldout if words.held_out else train))
    return lead(rng, text + rng.choice(["", "", "!", ".", "?" if text.lower().startswith(("how", "are", "what")) else "!"])), answer


def fact(words, row=None):
    rng = words.rng
    answer, train, heldout = row or rng.choice(FACTS)
    text = spin(rng, rng.choice(heldout if words.held_out else train)).replace("<C>", "Cupola" if words.held_out else rng.choice(NAMES_OF_CUPOLA))
    first = text.split()[0]
    imperative = first in ("explain", "describe", "tell", "give", "introduce", "list", "show", "define", "name", "say", "let")
    return ask(words, [[text if imperative else "?" + text]] * 2), answer


# --- arithmetic ------------------------------------------------------------------------------------------------------------------

PLACES = ["ones", "tens", "hundreds", "thousands"]


def digits(n):
    return [int(c) for c in reversed(str(n))]


def work_add(a, b):
    da, db = digits(a), digits(b)
    steps, carry = [], 0
    for i in range(max(len(da), len(db))):
        x, y = (da[i] if i < len(da) else 0), (db[i] if i < len(db) else 0)
        s = x + y + carry
        steps.append(f"{PLACES[i]} {x}+{y}{'+1' if carry else ''}={s}")
        carry = s // 10
    return f"{a} + {b}: {', '.join(steps)}, so {a} + {b} = {a + b}."


def work_sub(a, b):
    if a < b:
        return f"{a} - {b}: {a} is less than {b}. " + work_sub(b, a)[:-1] + f" and {a} - {b} = {a - b}."
    da, db = digits(a), digits(b)
    steps, borrow = [], 0
    for i in range(len(da)):
        x, y = da[i], (db[i] if i < len(db) else 0)
        step = f"{x}-{y}{'-1' if borrow else ''}"
        d = x - y - borrow
        borrow = d < 0
        steps.append(f"{PLACES[i]} {'1' if borrow else ''}{step}={d % 10}{' borrow' if borrow else ''}")
    return f"{a} - {b}: {', '.join(steps)}, so {a} - {b} = {a - b}."


ADD = (["?what is <a> + <b>", "?what is <a>+<b>", "<a> + <b>", "<a>+<b>", "<a> + <b> =", "<a>+<b>=", "{calculate|compute|work out|solve|evaluate} <a> {+|plus} <b>", "add <a> and <b>", "add <a> to <b>", "?what is <a> plus <b>",
        "?how much is <a> {+|plus|and} <b>", "?what is the sum of <a> and <b>", "sum <a> and <b>", "find the sum of <a> and <b>", "<a> plus <b>", "?what do you get if you add <a> and <b>", "add up <a> and <b>",
        "add the numbers <a> and <b>", "?what does <a> {+|plus} <b> make", "sum: <a>, <b>", "?<a> + <b> is what", "do this sum: <a> + <b>", "give me <a> + <b>", "tell me <a> plus <b>", "?what is <a> added to <b>",
        "?I have <a> <n> and get <b> more. How many <n> do I have", "?there are <a> <n> here and <b> <n> there. How many <n> are there", "?<p> has <a> <n> and buys <b> more. How many <n> does <p> have",
        "?how much are <a> and <b> together", "the sum of <a> and <b>", "add these: <a>, <b>", "?what is the total of <a> and <b>", "?what number is <a> + <b>",
        "begin with <a> and add <b>", "start at <a> and add <b>", "take the number <a>, then add <b>", "add <b> on top of <a>", "increase <a> by <b>", "raise <a> by <b>", "put <b> on top of <a>", "count <a> and <b> together", "join <a> and <b>", "?what do <a> and <b> make together", "?what do <a> and <b> come to", "?what comes out of <a> + <b>", "say what <a> + <b> is",
        "?what is the outcome of <a> + <b>", "the result of <a> plus <b>", "?how many do <a> and <b> make", "?what will I have if I add <b> to <a>", "?what's the sum of <a> and <b>", "?what's <a> added to <b>", "find out what <a> plus <b> is", "total: <a> + <b>", "give the total of <a> and <b>", "?how much will <a> and <b> be"],
       ["?what is the result of <a> + <b>", "?how many are <a> plus <b>", "take <a> and add <b>", "put <a> and <b> together", "find <a> + <b>", "?what is the result when <a> and <b> are added", "?what's <a> + <b>", "?what's <a> plus <b>",
        "total <a> and <b>", "?what do <a> and <b> add up to"])
SUB = (["?what is <a> - <b>", "?what is <a>-<b>", "<a> - <b>", "<a>-<b>", "<a> - <b> =", "<a>-<b>=", "{calculate|compute|work out|solve|evaluate} <a> {-|minus} <b>", "subtract <b> from <a>", "take <b> from <a>", "take <b> away from <a>",
        "?what is <a> minus <b>", "?how much is <a> {-|minus|less} <b>", "?what is the difference {between|of} <a> and <b>", "find the difference {between|of} <a> and <b>", "<a> minus <b>", "?what do you get if you subtract <b> from <a>",
        "?what do you get if you take <b> from <a>", "reduce <a> by <b>", "?<a> - <b> is what", "give me <a> - <b>", "tell me <a> minus <b>", "?what is <b> subtracted from <a>", "deduct <b> from <a>",
        "?I have <a> <n> and lose <b>. How many <n> are left", "?there are <a> <n> and <b> are taken away. How many <n> are left", "?<p> has <a> <n> and gives away <b>. How many <n> does <p> have", "?how much is <a> take away <b>",
        "?how much is left if I take <b> from <a>", "the difference {of|between} <a> and <b>", "?what number is <a> - <b>", "?<b> less than <a> is what",
        "begin with <a> and subtract <b>", "begin with <a> and take away <b>", "start at <a> and subtract <b>", "start at <a> and go down by <b>", "start with <a>, then take away <b>", "take the number <a>, then subtract <b>", "from <a> subtract <b>", "from <a> remove <b>", "cut <a> by <b>", "decrease <a> by <b>", "make <a> smaller by <b>", "bring <a> down by <b>", "drop <b> from <a>",
        "?what is left of <a> without <b>", "?what remains of <a> if <b> are taken", "?what remains when I subtract <b> from <a>", "?what comes out of <a> - <b>", "say what <a> - <b> is", "?what is the outcome of <a> - <b>", "the result of <a> minus <b>", "?what's left if I take <b> from <a>", "?what's the difference of <a> and <b>", "find out what <a> minus <b> is", "?how much more is <a> than <b>",
        "?how many are left of <a> when <b> go", "?what will I have if I take <b> away from <a>", "give the difference of <a> and <b>", "?what is <a> reduced by <b>", "?what is <a> when you take away <b>"],
       ["?what is the result of <a> - <b>", "?what remains if you take <b> from <a>", "start with <a> and subtract <b>", "?what is left of <a> after taking away <b>", "find <a> - <b>", "?what's <a> - <b>", "?what's <a> minus <b>",
        "?what is the result when <b> is subtracted from <a>", "lower <a> by <b>", "remove <b> from <a>"])


def pick_number(rng):
    kind = rng.random()
    return rng.randint(0, 9) if kind < 0.1 else rng.randint(10, 99) if kind < 0.38 else rng.randint(100, 999)


def arithmetic(words):
    rng = words.rng
    while True:
        a, b = pick_number(rng), pick_number(rng)
        if ((a * 31 + b) % 8 == 0) == words.held_out:
            break
    noun = words.items()
    if rng.random() < 0.5:
        return ask(words, ADD, a=a, b=b, n=noun, p=words.name()), work_add(a, b)
    if a < b and rng.random() < 0.8:
        a, b = b, a
    return ask(words, SUB, a=a, b=b, n=noun, p=words.name()), work_sub(a, b)


# --- lists -----------------------------------------------------------------------------------------------------------------------

def join(rng, items):
    kind = rng.random()
    if kind < 0.62:
        return ", ".join(items)
    if kind < 0.8:
        return ", ".join(items[:-1]) + " and " + items[-1]
    if kind < 0.87:
        return "[" + ", ".join(items) + "]"
    return rng.choice([" ", " ", ",", "; ", "\n", " - "]).join(items)


SORT_UP = (["sort <l>", "sort {these|the|the following|my} <k>: <l>", "sort: <l>", "sort {these|the} <k> {in ascending order|from small to large|from smallest to largest|from low to high|upwards|ascending}: <l>", "put {these|the|the following} <k> in {order|ascending order}: <l>",
            "order {these|the} <k>: <l>", "order {these|the} <k> from {smallest to largest|small to large|lowest to highest}: <l>", "arrange {these|the|the following} <k> {in order|in ascending order|from smallest to largest}: <l>", "sort this list: <l>", "sort this list of <k>: <l>", "?what is <l> sorted",
            "sort the list <l>", "sort <l> in ascending order", "<l>: sort {them|these|this|the <k>}", "<l>. Sort {them|these <k>|the list}.", "put <l> in order", "?what are these <k> in order: <l>", "?what is the {right|correct} order of <l>", "sort these: <l>", "sort the <k> <l>", "sort up: <l>",
            "rank these <k> from {lowest to highest|smallest to largest}: <l>", "sort in increasing order: <l>",
            "{organise|organize} {these|the|my} <k>: <l>", "give me <l> sorted", "show {me |}<l> sorted", "return {the|these} <k> sorted: <l>", "I have {these|some} <k>, please sort them: <l>", "{the following|these} <k> should be sorted: <l>", "make a sorted list of <l>", "?can <l> be sorted", "?how does <l> look when sorted", "the list <l> sorted",
            "get {these|the} <k> into {order|the right order}: <l>", "set {these|the} <k> in {ascending |}order: <l>", "line up {these|the} <k> in order: <l>", "display {these|the|my} <k> in {ascending|sorted|increasing} order: <l>", "name {these|the} <k> in ascending order: <l>", "write {my|the} <k> sorted: <l>", "?what comes out when you sort <l>", "ascending: <l>",
            "bring <l> into ascending order", "order this: <l>", "arrange this list: <l>", "arrange <l>", "here is a list to sort: <l>", "my <k> are <l>. Sort them.", "the <k> to sort are <l>", "?in which order come the <k> <l>", "list <l> from small to large", "put this into order: <l>", "order the list <l> upwards", "rearrange <l> in {ascending|increasing} order"],
           ["here are some <k>, sort them: <l>", "bring these <k> into order: <l>", "list these <k> in sorted order: <l>", "arrange in order: <l>", "sort the following: <l>", "write these <k> in ascending order: <l>", "put the list <l> in ascending order", "?which order do these <k> have when sorted: <l>",
            "order the <k> <l>", "sort my list: <l>"])
SORT_ALPHA = (["sort {these|the} words alphabetically: <l>", "sort <l> alphabetically", "put {these|the} words in alphabetical order: <l>", "order {these|the} words {alphabetically|by alphabet|from A to Z}: <l>", "arrange {these words|the words|them} in alphabetical order: <l>", "alphabetize <l>", "sort from A to Z: <l>", "alphabetical order: <l>",
               "sort {these|the following|the} words: <l>", "sort these words by the alphabet: <l>", "?what is the alphabetical order of <l>", "<l>: alphabetical order", "put <l> in alphabetical order",
               "list {these|the} words alphabetically: <l>", "write <l> alphabetically", "give me {these|the} words in alphabetical order: <l>", "show {these words|the words|them} from A to Z: <l>", "bring <l> into alphabetical order", "order <l> alphabetically", "line up these words by alphabet: <l>", "name {these|the} words from A to Z: <l>", "make an alphabetical list of <l>",
               "rank the words alphabetically: <l>", "arrange by alphabet: <l>", "<l>. Alphabetical order, please.", "organise these words alphabetically: <l>", "?how do I list <l> alphabetically", "alphabetical: <l>", "order the list <l> from A to Z"],
              ["list <l> in alphabetical order", "bring these words into alphabetical order: <l>", "arrange <l> alphabetically", "write these words in alphabetical order: <l>", "order from A to Z: <l>"])
SORT_DOWN = (["sort {these|the} <k> {in descending order|from large to small|from largest to smallest|from high to low|from highest to lowest|from biggest to smallest|descending|downwards}: <l>", "put {these|the} <k> in descending order: <l>", "sort <l> in descending order", "sort <l> from largest to smallest",
              "order {these|the} <k> from {largest to smallest|highest to lowest|large to small|biggest to smallest}: <l>", "arrange {these|the} <k> {in descending order|from largest to smallest|from highest to lowest}: <l>", "sort in decreasing order: <l>", "sort down: <l>", "sort descending: <l>", "<l>: sort them in descending order",
              "rank these <k> from {highest to lowest|largest to smallest}: <l>", "list <l> in descending order", "show {these|the} <k> in {descending|decreasing} order: <l>", "bring <l> into descending order", "list <l> from {highest to lowest|large to small|biggest to smallest}", "?what is <l> in descending order", "give me <l> {in descending order|from high to low}",
              "order <l> from {large to small|biggest to smallest} please", "put the list <l> in {decreasing|descending} order", "set the <k> in descending order: <l>", "write the <k> from {highest to lowest|large to small}: <l>", "arrange <l> in descending order", "descending: <l>", "largest first: sort <l>", "sort <l>, largest first", "name these <k> from the largest to the smallest: <l>"],
             ["write these <k> in descending order: <l>", "list these <k> from largest to smallest: <l>", "put <l> in descending order", "bring these <k> into descending order: <l>", "order <l> from highest to lowest", "arrange <l> from largest to smallest"])
SORT_DOWN_ALPHA = (["sort {these|the} words {from Z to A|in reverse alphabetical order}: <l>", "sort <l> from Z to A", "put {these|the} words in reverse alphabetical order: <l>", "order {these|the} words from Z to A: <l>", "arrange these words from Z to A: <l>", "sort from Z to A: <l>", "list <l> from Z to A", "bring these words into reverse alphabetical order: <l>", "show these words from Z to A: <l>", "order <l> from Z to A", "write <l> in reverse alphabetical order", "give me <l> from Z to A", "arrange <l> from Z to A", "order the words from Z down to A: <l>"],
                   ["list these words from Z to A: <l>", "put <l> in reverse alphabetical order", "bring <l> into order from Z to A"])


def near_word(words, word):
    """Another word with the same first letter."""
    for _ in range(200):
        other = words.word(3, 7)
        if other[0] == word[0] and other != word:
            return other
    return words.word(3, 7)


def word_set(words, count):
    rng, out = words.rng, []
    while len(out) < count:
        word = near_word(words, rng.choice(out)) if out and rng.random() < 0.12 else words.word(2, 8)
        if word not in out:
            out.append(word)
    return out


def number_set(words, count):
    rng = words.rng
    kind = rng.random()
    high = 9 if kind < 0.12 else 99 if kind < 0.55 else 999
    if kind > 0.85:
        base = rng.randint(1, 9) * 100
        return rng.sample(range(base, base + 100), count)
    return rng.sample(range(0 if rng.random() < 0.2 else 1, high + 1), count)


def sorting(words):
    rng = words.rng
    count = rng.choice([2, 3, 3, 4, 4, 4]) if words.held_out else rng.choice([2, 3, 3, 3, 4, 4, 4, 4, 4, 5])
    down = rng.random() < 0.28
    if rng.random() < 0.5:
        values = number_set(words, count)
        answer = sorted(values, reverse=down)
        text = ask(words, SORT_DOWN if down else SORT_UP, l=join(rng, [str(v) for v in values]), k="numbers" if rng.random() < 0.9 else "values")
    else:
        values = word_set(words, count)
        if rng.random() < 0.15:
            values = [v.capitalize() for v in values]
        answer = sorted(values, reverse=down)
        up = SORT_ALPHA if rng.random() < 0.7 else SORT_UP
        if up is SORT_UP and not words.held_out and rng.random() < 0.5:
            up = ([p for p in SORT_UP[0] if "small" not in p and "low" not in p], SORT_UP[1])
        text = ask(words, SORT_DOWN_ALPHA if down else up, l=join(rng, values), k="words" if rng.random() < 0.9 else "names")
    return text, ", ".join(str(v) for v in answer)


REVERSE = (["reverse <l>", "reverse {the|this|my} list: <l>", "reverse the list <l>", "reverse: <l>", "reverse the order of <l>", "reverse the order of {these|the|the following} {items|words|numbers}: <l>", "put <l> in reverse order", "?what is <l> in reverse{ order|}", "?what is the reverse of <l>", "list <l> backwards",
            "write <l> backwards", "<l>: reverse {them|this|the list|the order}", "<l>. Reverse the list.", "give me <l> in reverse order", "say <l> backwards", "turn {this|the} list around: <l>", "reverse these {words|items|numbers|elements}: <l>", "repeat <l> in reverse order", "list {these|the} items in reverse{ order|}: <l>", "flip the list <l>",
            "?what is <l> backwards", "?how does the list <l> look {backwards|in reverse|reversed}", "?how is <l> read from the back", "?what does <l> look like reversed", "?what is <l> from {back to front|last to first}", "give me the {list|items} <l> backwards", "list <l> from last to first", "name <l> from {last to first|the end to the beginning}", "start from the end: <l>",
            "write {these|the} {words|items} from last to first: <l>", "read <l> from the end", "read <l> backwards", "say this list from the end: <l>", "invert the list <l>", "invert: <l>", "flip: <l>", "flip <l>", "turn <l> around", "swap the order of <l>", "the list <l> backwards", "the list <l> in reverse", "show the list {backwards|reversed}: <l>", "show <l> reversed",
            "{show|return|print|display} {this|the} list in reverse: <l>", "put {the|these} {words|items|numbers} backwards: <l>", "arrange <l> in reverse order", "make the last item the first: <l>", "?can you turn <l> around", "order <l> the other way round", "the other way round: <l>", "go through <l> from the back", "?which list do I get if I reverse <l>", "mirror the list <l>"],
           ["show <l> in reverse order", "flip the order of <l>", "reverse the following: <l>", "read this list from back to front: <l>", "name these in reverse order: <l>", "write the list <l> in reverse order", "?what is the list <l> reversed", "put this list in reverse: <l>"])


def reversing(words):
    rng = words.rng
    count = rng.choice([2, 3, 3, 4, 4, 4, 5, 5, 6])
    kind = rng.random()
    if kind < 0.55:
        values = word_set(words, count)
    elif kind < 0.85:
        values = [str(v) for v in number_set(words, count)]
    elif kind < 0.93:
        values = rng.sample("abcdefghijklmnopqrstuvwxyz", count)
    else:
        values = [rng.choice([words.name, words.item, words.city])() for _ in range(count)]
    return ask(words, REVERSE, l=join(rng, values) if kind < 0.93 else ", ".join(values)), ", ".join(reversed(values))


# --- letters ---------------------------------------------------------------------------------------------------------------------

SPELL = (["spell <w>", "spell the word <w>", "?how do you spell <w>", "?how is <w> spelled", "spell: <w>", "spell out <w>", "spell {<w>|the word <w>} {letter by letter|for me|out}", "?how do I spell <w>", "?how do you write <w>", "?what letters are in <w>", "?which letters does <w> have", "<w>: spell it", "give me the spelling of <w>",
          "?what is the spelling of <w>", "tell me how to spell <w>", "say the letters of <w>", "write <w> letter by letter", "list the letters of {<w>|the word <w>}", "?how is the word <w> spelled", "?how does one spell <w>", "?can you spell <w>", "break <w> into letters", "split <w> into letters",
          "show {me |}{how to spell|how one spells} <w>", "show <w> letter by letter", "spell me <w>", "I need the spelling of <w>", "?how would one write <w>", "?what are the letters in <w>", "?of which letters is <w> made", "?how must I spell <w>", "?how is <w> written", "name each letter of <w>", "give me each letter of <w>", "go through the letters of <w>", "the letters of <w>", "spelling of <w>",
          "let me hear how to spell <w>", "read <w> letter by letter", "take <w> apart into letters", "?do you know how <w> is spelled", "?what is the right spelling of <w>", "print the letters of <w>", "spell that word: <w>", "write out the letters of <w>", "?should I spell <w> how"],
         ["show me the spelling of <w>", "?how would you spell <w>", "?how should I spell the word <w>", "name the letters of <w>", "spell this word: <w>", "?what are the letters of the word <w>", "?how's <w> spelled", "let me see how <w> is spelled", "give me the letters of <w>"])
COUNT = (["?how many {letters|times does the letter} <c> {are in|are there in|does have|occur in} <w>", "?how many <c>'s are in <w>", "?how many <c>'s are there in <w>", "?how many times does {the letter |}<c> {occur|appear|come} in {<w>|the word <w>}", "count the {letter |}<c> in <w>", "count the letter <c> in the word <w>",
          "count the <c>'s in <w>", "?how often {does|is} {the letter |}<c> {occur|appear|} in {<w>|the word <w>}", "?how many {letters |}<c> {are in|are there in|has|does the word} <w>", "?how many <c> in <w>", "?how many {letter |}<c>s are in {<w>|the word <w>}", "?what is the number of <c>'s in <w>", "in <w>, count the letter <c>",
          "?in the word <w>, how many <c> are there", "count how many <c> are in <w>", "count how often <c> is in <w>",
          "?how many times can I find <c> in <w>", "?how many <c> does <w> {have|hold|contain}", "?how many times does <w> have {the letter |}<c>", "?how many {occurrences|copies} of <c> {are|are there} in <w>", "tell me the number of <c>'s in <w>", "tell me how many <c> there are in <w>", "find all <c>'s in <w> and count them", "count {all|the} <c> of <w>", "count each <c> of <w>",
          "?does <w> have <c>, and how many", "number of <c> in <w>", "<c> in <w>: how many", "<w>: how many <c>", "find how often <c> {occurs|appears} in <w>", "say how many <c>'s <w> has", "?what is the count of <c> in <w>", "?how many of the letters in <w> are <c>", "?how often do you see <c> in <w>", "look for <c> in <w> and count"],
         ["?how many of the letter <c> does <w> contain", "?how many instances of <c> are in <w>", "find out how many <c>'s are in <w>", "?how many times is <c> in <w>", "tell me how many times <c> occurs in <w>", "?how many <c>'s does <w> have", "?how many <c>'s does the word <w> contain", "count every <c> in <w>"])
LENGTH = (["?how many letters are in <w>", "?how many letters does {<w>|the word <w>} have", "count the letters {of|in} {<w>|the word <w>}", "?how long is the word <w>", "?how many letters has <w>", "?how many letters are there in {<w>|the word <w>}", "?what is the {length|number of letters} of <w>", "<w>: how many letters", "?how many characters are in <w>",
           "tell me {the length|how long|the number of letters} of <w>", "find the length of <w>", "?of how many letters is <w> made", "?how many letters do I need for <w>", "?how many letters make up <w>", "give me the number of letters in <w>", "length of <w>", "letters in <w>: how many", "say how many letters <w> has", "count each letter of <w>", "?how long is <w>", "?how long is <w> in letters", "?how many letters does <w> have in all", "?what length has <w>", "find out how long <w> is", "tell me the count of letters in <w>", "count the characters of <w>", "?how many letters does <w> take", "measure the word <w>",
           "?<w> has how many letters", "count up the letters in <w>", "?how many letters will I write for <w>", "?what does the word <w> have, how many letters"],
          ["?how many letters does <w> contain", "tell me how many letters are in the word <w>", "find the number of letters in <w>", "count all letters of <w>", "?how many letters long is <w>"])


def quoted(rng, word):
    kind = rng.random()
    return f'"{word}"' if kind < 0.2 else f"'{word}'" if kind < 0.3 else word.capitalize() if kind < 0.36 else word


def long_word(words, low, high):
    """Words of all lengths alike often enough."""
    want = words.rng.randint(low, high)
    for _ in range(8):
        word = words.word(low, high)
        if len(word) >= want:
            return word
    return word


def spelling(words):
    word = long_word(words, 2, 8) if words.held_out else long_word(words, 2, 9)
    return ask(words, SPELL, w=quoted(words.rng, word)), "-".join(word)


def counting(words):
    rng = words.rng
    word = long_word(words, 3, 8) if words.held_out else long_word(words, 2, 9)
    if rng.random() < 0.3:
        spelled = "-".join(f"{c}{i + 1}" for i, c in enumerate(word))
        return ask(words, LENGTH, w=quoted(rng, word)), f"{spelled}: {len(word)} letters."
    repeated = [c for c in word if word.count(c) > 1]
    letter = rng.choice(repeated) if repeated and rng.random() < 0.5 else rng.choice(word) if rng.random() < 0.85 else rng.choice("abcdefghiklmnoprstu")
    out, seen = [], 0
    for c in word:
        seen += c == letter
        out.append(f"{c}{seen}" if c == letter else c)
    shown = rng.choice([letter] * 6 + [f'"{letter}"', f"'{letter}'"])
    shown = letter.upper() if rng.random() < 0.06 else shown
    text = ask(words, COUNT, w=quoted(rng, word), c=shown)
    return text, f"{'-'.join(out)}: {letter} occurs {seen} time{'' if seen == 1 else 's'}."


# --- units -----------------------------------------------------------------------------------------------------------------------

UNITS = [  # large, small, factor, counts of the large unit
    (("hour", "hours", "h"), ("minute", "minutes", "min"), 60, list(range(1, 21)) + [24]), (("minute", "minutes", "min"), ("second", "seconds", "s"), 60, list(range(1, 21)) + [30]),
    (("day", "days", ""), ("hour", "hours", "h"), 24, range(1, 21)), (("week", "weeks", ""), ("day", "days", ""), 7, range(1, 21)),
    (("year", "years", ""), ("month", "months", ""), 12, range(1, 21)), (("foot", "feet", "ft"), ("inch", "inches", "in"), 12, range(1, 21)),
    (("yard", "yards", "yd"), ("foot", "feet", "ft"), 3, range(1, 21)), (("pound", "pounds", "lb"), ("ounce", "ounces", "oz"), 16, range(1, 13)),
    (("kilometre", "kilometres", "km"), ("metre", "metres", "m"), 1000, range(1, 100)), (("metre", "metres", "m"), ("centimetre", "centimetres", "cm"), 100, range(1, 100)),
    (("centimetre", "centimetres", "cm"), ("millimetre", "millimetres", "mm"), 10, range(1, 100)), (("kilogram", "kilograms", "kg"), ("gram", "grams", "g"), 1000, range(1, 100)),
    (("tonne", "tonnes", "t"), ("kilogram", "kilograms", "kg"), 1000, range(1, 100)), (("litre", "litres", "l"), ("millilitre", "millilitres", "ml"), 1000, range(1, 100)),
    (("euro", "euros", ""), ("cent", "cents", ""), 100, range(1, 100)), (("dollar", "dollars", ""), ("cent", "cents", ""), 100, range(1, 100)),
    (("century", "centuries", ""), ("year", "years", ""), 100, range(1, 21)), (("decade", "decades", ""), ("year", "years", ""), 10, range(1, 21)),
]
CONVERT = (["?how many <v> are <n> <u>", "?how many <v> are in <n> <u>", "convert <n> <u> {to|into|in} <v>", "?what is <n> <u> in <v>", "?what are <n> <u> in <v>", "<n> <u> in <v>", "?<n> <u> {are|is} how many <v>", "change <n> <u> {to|into} <v>", "?how many <v> do <n> <u> {have|make}", "express <n> <u> in <v>", "turn <n> <u> into <v>",
            "<n> <u> to <v>", "?how many <v> are there in <n> <u>", "give me <n> <u> in <v>", "?how much is <n> <u> in <v>", "write <n> <u> in <v>", "<n> <u> = ? <v>", "?what is <n> <u> as <v>", "tell me <n> <u> in <v>", "in <v>: <n> <u>", "calculate <n> <u> in <v>"],
           ["?how many <v> is <n> <u>", "?how many <v> does <n> <u> have", "?what do <n> <u> make in <v>", "say <n> <u> in <v>", "translate <n> <u> into <v>", "please show <n> <u> in <v>", "?how many <v> fit in <n> <u>", "work out <n> <u> in <v>"])


def units(words):
    rng = words.rng
    big, small, factor, counts = rng.choice(UNITS[:8]) if rng.random() < 0.6 else rng.choice(UNITS)
    n = rng.choice(list(counts)[:12]) if rng.random() < 0.5 else rng.choice(list(counts))
    american = rng.random() < 0.15

    def show(unit, count):
        if unit[2] and rng.random() < 0.25:
            return unit[2]
        name = unit[0] if count == 1 else unit[1]
        return name.replace("metre", "meter").replace("litre", "liter") if american else name

    one = f"1 {big[0]} = {factor} {small[1]}"
    down = rng.random() < (0.7 if factor >= 16 else 0.55)
    if down:
        text = ask(words, CONVERT, n=n, u=show(big, n), v=show(small, 2))
        answer = one + "." if n == 1 else f"{one}, so {n} {big[1]} = {n} x {factor} = {n * factor} {small[1]}."
    else:
        text = ask(words, CONVERT, n=n * factor, u=show(small, 2), v=show(big, 2))
        answer = one + "." if n == 1 else f"{one}, so {n * factor} {small[1]} = {n * factor} / {factor} = {n} {big[1]}."
    return text, answer


# --- recall ----------------------------------------------------------------------------------------------------------------------

TELL = {
    "name": (["my name is <x>", "I'm <x>", "I am <x>", "call me <x>", "people call me <x>", "this is <x>", "<x> is my name", "you can call me <x>", "please call me <x>", "my first name is <x>", "hi, I'm <x>", "hello, my name is <x>", "hey, I am <x>", "hello, I'm <x>", "hi! My name is <x>", "hello there, <x> here", "here is <x>",
              "just call me <x>", "I am called <x>", "for the record, my name is <x>", "remember: my name is <x>", "remember that my name is <x>", "hi Pocket, I'm <x>", "good morning, my name is <x>"],
             ["my friends call me <x>", "everybody calls me <x>", "my name's <x>", "nice to meet you, I'm <x>", "let me introduce myself: I am <x>", "good evening, I'm <x>", "I go by <x>", "you should know that my name is <x>"]),
    "city": (["I live in <x>", "I'm from <x>", "I am from <x>", "I come from <x>", "my home is {in |}<x>", "I am living in <x>", "my city is <x>", "my home town is <x>", "<x> is my home town", "<x> is the city I live in", "I have a flat in <x>", "remember that I live in <x>", "hi, I live in <x>", "hello, I'm from <x>", "these days I live in <x>",
              "the city I live in is <x>", "we live in <x>", "I moved to <x>", "I was born in <x> and live there", "my house is in <x>", "remember: I live in <x>"],
             ["I currently live in <x>", "my hometown is <x>", "the place where I live is <x>", "I reside in <x>", "I now live in <x>", "I've lived in <x> for years", "hello, I come from <x>", "note that I live in <x>"]),
    "colour": (["my favourite {colour|color} is <x>", "my favorite color is <x>", "the colour I like {best|most} is <x>", "<x> is my favourite {colour|color}", "I like <x> best of all {colours|colors}", "my favourite of all colours is <x>", "I love the {colour|color} <x>", "I like the {colour|color} <x> {best|most}", "remember that my favourite colour is <x>",
                "of all colours I like <x> best", "hi, my favourite colour is <x>", "the {colour|color} I love is <x>", "my colour is <x>", "remember: my favourite colour is <x>", "I prefer the colour <x>"],
               ["the colour <x> is my favourite", "I like the colour <x> more than any other", "my preferred colour is <x>", "my best loved colour is <x>", "note that my favourite colour is <x>", "as for colours, I like <x> most", "no colour is nicer than <x> for me"]),
}
REMEMBER = {"name": "Nice to meet you, <x>!", "city": "I will remember that you live in <x>.", "colour": "I will remember that your favourite colour is <x>."}
RECALL = {
    "name": (["?what is my name", "?what's my name", "?do you remember my name", "?do you know my name", "?who am I", "tell me my name", "?what did I say my name was", "?what was my name", "remind me of my name", "say my name", "?can you tell me my name", "?what am I called", "?do you still know my name", "?what name did I give you",
              "?how did I introduce myself", "?do you know who I am", "?do you remember who I am", "?what is my first name", "my name is what?", "?could you say my name",
             "?which name did I give you", "?which name have I told you", "?what name have I given you", "?what is the name I gave you", "?what is the name that I gave", "?by what name do you know me", "?how should you call me", "?what should you call me", "?what do you call me", "?have you got my name", "?have you kept my name", "?did you remember my name", "?you know my name, right", "?you still know who I am, right",
             "tell me who I said I am", "tell me what I am called", "give me my name", "give me back my name", "name me", "recall my name", "?what did I call myself", "?as whom did I introduce myself", "?what do people call me", "?who is talking to you", "?which name is mine", "?can you recall my name", "repeat the name I gave you", "?do you have my name in mind"],
             ["?which name did I tell you", "?can you remember my name", "repeat my name", "tell me what my name is", "?what is the name I told you", "?have you kept my name in mind", "?you remember my name, right", "tell me who I am", "?by what name should you call me"]),
    "city": (["?where do I live", "?where am I from", "?which city do I live in", "?what city do I live in", "?in which city do I live", "?do you remember where I live", "?do you know where I live", "tell me where I live", "?what is my city", "?what's my city", "?what is my home town", "?where did I say I live", "?where is my home", "remind me where I live",
              "?which city am I from", "?do you remember my city", "?what city am I from", "name my city", "?can you tell me where I live", "?what was my city",
             "?which city did I name", "?which city did I tell you", "?what city did I tell you", "?what city did I say", "?which city have I told you about", "?what is the city I told you", "?what is the name of the city I live in", "?what is the name of the place I live in", "?what place am I from", "?which place do I live in", "?where did I tell you I live", "?where did I say my home is", "?can you recall where I live",
             "?have you kept my city", "say which city I live in", "say the city I am from", "tell me my city", "tell me which city I am from", "give me my city", "recall where I live", "repeat my city", "repeat where I live", "?do you still know where I live", "?you know where I live, right", "?in what place do I live", "?in what city do I have my home", "?what town do I live in", "?where am I at home"],
             ["?which city did I tell you I live in", "?can you remember where I live", "tell me the city I live in", "?what is the name of my city", "?what city did I mention", "?in what city is my home", "say where I live", "?what place do I live in"]),
    "colour": (["?what is my favourite {colour|color}", "?what's my favourite {colour|color}", "?what is my favorite color", "?which {colour|color} do I like {best|most}", "?do you remember my favourite {colour|color}", "?do you know my favourite {colour|color}", "tell me my favourite {colour|color}", "?what {colour|color} do I like {best|most|}",
                "?which {colour|color} is my favourite", "remind me of my favourite colour", "?what was my favourite {colour|color}", "?which colour did I say I like", "name my favourite {colour|color}", "?what colour do I love", "?can you tell me my favourite colour",
                "?which colour did I name", "?what colour did I tell you", "?what colour did I say", "?which colour have I told you about", "?what colour did I call my favourite", "?which colour do I prefer", "?which colour do I love", "?can you recall my favourite colour", "?do you still know my favourite colour", "?you know my favourite colour, right", "tell me the colour I like", "tell me what colour I like best",
                "give me my favourite colour", "recall my favourite colour", "repeat the colour I like", "say the colour I like best", "say which colour I like", "?is there a colour I like best, and which", "?what is the colour I like best", "?what's the colour I told you", "?which of the colours is my favourite", "?have you kept my favourite colour"],
               ["?which colour did I tell you", "?can you remember my favourite colour", "tell me which colour I like best", "?what colour did I say was my favourite", "say my favourite colour", "?what colour do I prefer", "?which is my favourite colour", "repeat my favourite colour"]),
}
RECALLED = {"name": "Your name is <x>.", "city": "You live in <x>.", "colour": "Your favourite colour is <x>."}


def value_of(words, kind):
    if kind == "name":
        return words.full_name() if words.rng.random() < 0.25 else words.name()
    return words.city() if kind == "city" else words.colour()


def plain(words, phrasings, **slots):
    """A statement, without wrapper."""
    rng = words.rng
    return lead(rng, fill(spin(rng, rng.choice(phrasings[words.held_out])), **slots)) + rng.choice([".", ".", "", "!"])


def tell(words, kind, value):
    return plain(words, TELL[kind], x=value), REMEMBER[kind].replace("<x>", value)


def recall(words, kind, value):
    return ask(words, RECALL[kind]), RECALLED[kind].replace("<x>", value) if value else NOT_TOLD


def tell_two(words, one, first, two, second):
    """Two statements in one turn, the name first."""
    rng = words.rng
    a, b = fill(spin(rng, rng.choice(TELL[one][words.held_out])), x=first), fill(spin(rng, rng.choice(TELL[two][words.held_out])), x=second)
    text = lead(rng, a) + rng.choice([" and ", ". ", ", and "])
    b = b if text.endswith("and ") else b[0].upper() + b[1:]
    return text + b + rng.choice([".", "", "!"]), fill(REMEMBER[one], x=first) + " " + fill(REMEMBER[two], x=second)


# --- JSON extraction -------------------------------------------------------------------------------------------------------------

FRAMES = (
    ["<name> is <age> years old and lives in <city>.", "<name>, <age>, lives in <city>.", "<name> from <city> is <age> years old.", "My neighbour <name> is a <job> and is <age> years old.", "<name> works as a <job> in <city>.", "In <city> there lives a <job> called <name>.", "<name> (<age>) is a <job> from <city>.", "At the age of <age>, <name> became a <job>.",
     "Meet <name>, a <age> year old <job> from <city>.", "The <job> <name> turned <age> last week.", "<name> lives in <city> and works as a <job>.", "I met <name>, who is <age>, in <city>.", "<name> moved to <city> at the age of <age>.", "The name of the <job> is <name>.", "<city> is the home of <name>, a <job>.", "She is <name>, a <job>, and she is <age>.",
     "<name> ordered <quantity> <item>.", "Please send <quantity> <item> to <name> in <city>.", "<name> bought <quantity> <item> for <price> dollars.", "An order of <quantity> <item> at <price> euros each.", "The <item> costs <price> dollars.", "I want to buy <quantity> <item> for <price> euros.", "<name> paid <price> dollars for a <item>.",
     "We sold <quantity> <item> to <name> on <day>.", "On <day>, <name> bought a <item>.", "The shop in <city> sells <item> for <price> dollars.", "<name> needs <quantity> <item> by <day>.", "<quantity> <item> were sent to <city>.", "The price of the <colour> <item> is <price> euros.", "<name> has a <colour> <item>.", "There is a <colour> <item> in <city>.",
     "<name> lost a <colour> <item> in <city> on <day>.", "The <event> is on <day> at <time>.", "The <event> takes place in <city> on <day>.", "The <event> starts at <time> in room <room>.", "Come to the <event> on <day> at <time>, in <city>.", "<name> will give a <event> on <day>.", "Our <event> with <name> is at <time> on <day>.", "There is a <event> in room <room> at <time>.",
     "Do not forget the <event> with <name> on <day>.", "The <event> in <city> begins at <time>.", "On <day> at <time> we have a <event> in room <room>.", "I have a <event> on <day> with <name>.", "<name> flies from <city> to <destination> on <day>.", "The train from <city> to <destination> leaves at <time>.", "A flight to <destination> leaves on <day> at <time>.",
     "From <city> to <destination> it takes <hours> hours.", "The bus to <destination> leaves at <time> from <city>.", "A ticket from <city> to <destination> costs <price> euros.", "<name> has a <animal> called <pet>.", "The <animal> of <name> is called <pet> and is <age> years old.", "<pet> is a <colour> <animal>.", "<name> wrote the book <title> in <year>.", "The book <title> by <name> came out in <year>.",
     "<title> is a film by <name> from <year>.", "In <year>, <name> published <title>.", "The book <title> has <pages> pages and costs <price> dollars.", "<name> works for <company> in <city>.", "<company> was founded in <year> by <name>.", "<company> in <city> has <quantity> workers.", "<name> is a <job> at <company>.", "The office of <company> is in <city>.",
     "<name> has the phone number <phone>.", "Call <name> at <phone>.", "The phone number of <company> is <phone>.", "A table for <guests> at <time> on <day>, please.", "A table for <guests> under the name <name> at <time>.", "<name> wants a room for <guests> in <city>.", "Dinner for <guests> on <day> at <time>."] + MORE_FRAMES + WIDE_FRAMES,
    ["<name> is a <job> of <age> years who lives in <city>.", "Here is <name>, aged <age>, from <city>.", "The <job> from <city> is called <name>.", "<name> has lived in <city> since the age of <age>.", "A <job> named <name> lives in <city>.", "<name> would like <quantity> <item> for <price> dollars.", "<name> from <city> wants to order <quantity> <item>.",
     "A customer, <name>, bought a <item> on <day>.", "The <colour> <item> belongs to <name>.", "For <price> euros you get <quantity> <item>.", "Yesterday <name> sold a <colour> <item> for <price> dollars.", "We meet for the <event> on <day> at <time>.", "The <event> will be held in <city> at <time>.", "<name> invites you to a <event> on <day>.", "At <time> the <event> starts in room <room>.",
     "<name> takes the train from <city> to <destination> on <day>.", "The flight from <city> to <destination> costs <price> euros.", "<name> travels to <destination> on <day>.", "<pet>, the <animal> of <name>, is <age> years old.", "<title>, written by <name>, appeared in <year>.", "In <year> the film <title> by <name> was made.", "<name> has worked for <company> since <year>.",
     "<company> has its office in <city>.", "You can reach <name> by phone at <phone>.", "<name> booked a table for <guests> on <day> at <time>."])
EXTRACT = (["extract <f> as JSON: <s>", "extract <f> {from this sentence|from this text|from the sentence|} as JSON: <s>", "extract <f> {from|out of} this {sentence|text}: <s>", "give me {a |}JSON with <f>: <s>", "{make|write|create} {a |}JSON {object |}with <f> {from|for} {this sentence|this text|this}: <s>", "read this {sentence|text} and return <f> as JSON: <s>",
            "<s> Extract <f> as JSON.", "<s> Give me <f> as JSON.", "<s>\nExtract <f> as JSON.", "<s>\nJSON with <f>:", "turn this {sentence|text|} into JSON ({fields|keys|with}: <f>): <s>", "convert {this|the sentence|this sentence} to JSON with the {fields|keys} <f>: <s>", "return JSON with the {fields|keys} <f>: <s>", "JSON with <f>: <s>",
            "find <f> in this sentence, as JSON: <s>", "get <f> as JSON from: <s>", "parse this {sentence|text} into JSON with {fields |keys |}<f>: <s>", "?what are <f> here, as JSON: <s>", "answer in JSON with <f>. Text: <s>", "text: <s> Fields: <f>. Answer in JSON.", "<s> Put <f> into JSON.", "fill a JSON object with <f> from: <s>"] + MORE_EXTRACT,
           ["pull <f> out of this sentence as JSON: <s>", "write <f> as JSON for this sentence: <s>", "here is a sentence: <s> Extract <f> as a JSON object.", "return <f> as a JSON object: <s>", "extract the fields <f> into JSON from the text: <s>", "take <f> from this text and write JSON: <s>", "from the sentence below, extract <f> as JSON.\n<s>",
            "produce JSON with the keys <f> from this: <s>"])
NUMERIC = {"age", "quantity", "price", "hours", "year", "pages", "guests", "room"}
EVENTS = "meeting concert lecture party workshop exam lesson wedding match talk interview dinner conference course show game class festival".split()


def field_value(words, field):
    rng = words.rng
    simple = {"name": words.full_name, "city": words.city, "destination": words.city, "item": words.items, "time": words.time, "colour": words.colour, "title": words.title}
    if field in simple:
        return simple[field]()
    if field in ("age", "quantity", "guests", "hours", "room"):
        return rng.randint(2, 99) if rng.random() < 0.85 else rng.randint(100, 999)
    if field == "price":
        return rng.randint(1, 999)
    if field == "year":
        return rng.randint(1800, 2030)
    if field == "email":
        return words.word(3, 8) + rng.choice(["", ".", "_"]) + words.word(3, 8) + "@" + words.made(3, 7) + rng.choice([".com", ".org", ".net", ".de"])
    if field == "pages":
        return rng.randint(20, 900)
    if field == "phone":
        return "".join(str(rng.randint(0, 9)) for _ in range(rng.randint(5, 9)))
    if field == "company":
        return rng.choice([words.made(4, 8).capitalize(), words.word(3, 8).capitalize() + rng.choice(["", " Ltd", " Works", " Group", " and Sons"])])
    if field == "pet":
        return words.name()
    return words.of({"job": JOBS, "animal": ANIMALS, "event": EVENTS, "day": DAYS + MONTHS}[field]) if field != "day" else rng.choice(DAYS)


ALIASES = {"colour": ["color"], "item": ["product", "article"], "price": ["cost"], "quantity": ["amount", "count"], "job": ["profession", "occupation"], "name": ["person", "customer"],
           "city": ["town", "place", "location"], "guests": ["people", "persons"], "time": ["hour"], "phone": ["number"]}


def fields_of(frame):
    return [part.split(">")[0] for part in frame.split("<")[1:]]


def name_fields(rng, fields):
    kind = rng.random()
    if kind < 0.4:
        return ", ".join(fields[:-1]) + " and " + fields[-1] if len(fields) > 1 else fields[0]
    if kind < 0.65:
        return ", ".join(fields)
    if kind < 0.85:
        the = ["the " + f for f in fields]
        return ", ".join(the[:-1]) + " and " + the[-1] if len(the) > 1 else the[0]
    return ", ".join(f'"{f}"' for f in fields)


ADVERBS = ["Yesterday", "Last week", "In the end", "By the way,", "As you know,", "Today", "This morning", "Of course", "It is true that", "We heard that", "They say that", "News:", "Note:", "Indeed", "Sometimes", "After all,", "I think that", "Look:", "Fact:", "It seems"]


def letters_of(text):
    return "".join(c for c in text.lower() if c.isalpha() or c in " <>").strip()


HELD_FRAMES = [letters_of(frame) for frame in FRAMES[1]]
HELD_ASKS = [letters_of(wrap.split("<x>")[0]) for wrap in WRAP_DO_HELD + WRAP_ASK_HELD if not wrap.startswith("<x>")] + [letters_of(ask) for ask in EXTRACT[1]]


def made(maker, rng, held):
    """One made by the grammar that has nothing held out in it."""
    while True:
        text = maker(rng)
        if not any(h in letters_of(text) for h in held):
            return text


def composed(words):
    """A training frame, at times with words around it that no field asks for, or two frames in one text."""
    rng = words.rng
    frame, kind = made(made_frame, rng, HELD_FRAMES) if rng.random() < 0.45 else rng.choice(FRAMES[0]), rng.random()
    if kind < 0.12:
        other = rng.choice(FRAMES[0])
        if not set(fields_of(frame)) & set(fields_of(other)):
            return frame + " " + other if kind < 0.08 else frame.rstrip(".!?") + rng.choice([" and ", ", but ", "; "]) + other
    if kind < 0.24:
        opening = rng.choice(ADVERBS) if rng.random() < 0.6 else odd_opening(words).strip()
        return opening + " " + frame
    if kind < 0.30:
        return frame.rstrip(".!?") + " " + " ".join(words.word(2, 7) for _ in range(rng.randint(1, 3))) + "."
    if kind < 0.36:
        return rng.choice(["", "So "]) + words.phrase() + ". " + frame
    return frame


def extraction(words):
    rng = words.rng
    frame = rng.choice(FRAMES[words.held_out]) if words.held_out else composed(words)
    values = {f: field_value(words, f) for f in fields_of(frame)}
    if "item" in values and "quantity" not in values:
        values["item"] = words.noun() if "colour" in values else words.item()
    fields = list(values)
    if len(fields) > 1 and rng.random() < 0.3:
        fields = rng.sample(fields, rng.randint(1 if rng.random() < 0.3 else 2, len(fields)))
    if rng.random() < 0.3:
        rng.shuffle(fields)
    sentence = fill(frame, **values)
    sentence = sentence[0].upper() + sentence[1:]
    if rng.random() < 0.25:
        sentence = f'"{sentence}"'
    keys = {f: rng.choice(ALIASES[f]) if f in ALIASES and rng.random() < 0.12 else f for f in fields}
    asks = [[made(made_ask, rng, HELD_ASKS)]] if not words.held_out and rng.random() < 0.4 else EXTRACT
    text = ask(words, asks, f=name_fields(rng, [keys[f] for f in fields]), s=sentence)
    return text, json.dumps({keys[f]: values[f] for f in fields}, ensure_ascii=False)


# --- not knowing -----------------------------------------------------------------------------------------------------------------

UNKNOWN = (
    ["?what is the capital of <co>", "?who wrote <ti>", "?who is the president of <co>", "?how tall is <na>", "?when was <na> born", "?who invented the <no>", "?who is <na>", "?how old is <na>", "?where is <ci>", "?how many people live in <ci>", "?what is the population of <co>", "?what is the weather {like |}in <ci>", "?will it rain {tomorrow|today|on <da>} in <ci>", "?what time is it",
     "?what day is {it|today}", "?what is the date{ today|}", "?what is the price of a <no>", "?how much does a <no> cost", "?who won the {match|game|election|cup|race} {yesterday|in <co>|last year}", "?what is the meaning of life", "?why is the sky blue", "?what is the best {film|book|song}", "?who painted <ti>", "?how far is {it to |}the {moon|sun}", "?how far is it from <ci> to <ce>",
     "?what is the {highest|longest|largest|oldest} {mountain|river|city|lake|building} {in <co>|of the world|}", "?what does <wo> mean", "tell me a joke", "?what is the news{ today|}", "write a poem about <no>", "write a story about a <an>", "?what is <na>'s phone number", "?who is the {king|queen|mayor} of <ci>", "?how do I cook <no>", "?what is the recipe for <no>",
     "?what is your opinion about <no>", "?do you like <no>", "?what is the speed of light", "?how does a <no> work", "?when did the war {end|begin}", "?who discovered <wo>", "?what is the {chemical |}formula of <no>", "?what is the stock price of <wo>", "play {some music|<ti>}", "?what is in the <no>", "?where can I buy a <no>", "?what is the square root of <nu>",
     "?what is <nu> times <nv>", "?how many <ans> are there{ in <co>|}", "?what language do people speak in <co>", "?what is the currency of <co>", "translate <no> into <la>", "?how do you say <no> in <la>", "?who directed <ti>", "?what is the plot of <ti>", "?what colour is a <an>", "?what do <ans> eat", "?how long does a <an> live", "?where do <ans> live", "?who founded <wo>",
     "?is <wo> better than <wp>", "?what is <wo>", "?what is a <wo>", "explain <wo>", "tell me about <wo>", "tell me about <ci>", "tell me about <na>", "?what happened in {<ye>|<ci>}", "?when was <ci> founded", "?what is the best restaurant in <ci>", "?how do I get to <ci>", "book a flight to <ci>", "send an email to <na>", "call <na>", "set {an alarm|a timer}{ for <t>|}", "turn on the light",
     "?what licence does <wo> have", "?who wrote <wo>", "?what is <wo> written in", "?who made the <no>", "?what is the default size of <wo>", "?which languages does <na> speak", "?how heavy is a <an>", "?what is the deepest <no>", "?who was the first {king|president|queen} of <co>", "?what is my {age|password|job|phone number|birthday|shoe size}", "?how many {bones|teeth|legs} has a <an>",
     "?why do <ans> {sleep|fly|sing|swim}", "?what will happen {tomorrow|next year}", "?who will win the {match|election}", "?what number am I thinking of", "?what did I eat {today|yesterday}", "?what is the wifi password", "?what is the {secret|code|answer}", "?how do I {repair|build|clean} a <no>", "?what is the {history|flag|anthem} of <co>", "?what year is it", "?who sings <ti>", "draw a <an>", "order a pizza",
     "?what is the difference between a <no> and a <an>", "give me the latest news", "?how hot is the sun", "?can you recommend a {book|film|restaurant}", "?what is your favourite {food|film|book|animal}", "?where were you born", "?who is your {mother|father|friend}", "sing a song", "show me a picture of a <an>", "?how many stars are in the sky", "?what are the symptoms of <wo>", "?who runs <wo>"] + MORE_UNKNOWN,
    ["?what is the name of the river in <ci>", "?in which year was <na> born", "?who built the {tower|castle|bridge} of <ci>", "?which country has the most <ans>", "?what is the tallest building in <ci>", "?who was the author of <ti>", "?what is the temperature in <ci>", "?how fast can a <an> run", "?what is the main export of <co>", "?who composed <ti>", "?how many islands does <co> have",
     "?what is the area of <co>", "?where does <na> work", "?what is the title of <na>'s last book", "?how deep is the sea near <ci>", "?when does the train to <ci> leave", "?what is the age of <na>", "?who owns <wo>", "?how much is a ticket to <ci>", "write an essay about <no>", "?what does a <an> weigh", "?how many wheels does a <wo> have", "?what is the national dish of <co>", "?which team won on <da>",
     "?what is the boiling point of <wo>"])


def unknown(words):
    rng = words.rng
    article = words.of(ANIMALS)
    text = ask(words, UNKNOWN, co=words.of(COUNTRIES) if rng.random() < 0.75 else words.made(4, 8).capitalize(), ti=words.title(), na=words.full_name(), no=words.noun(), ci=words.city(), ce=words.city(), wo=rng.choice([words.made(3, 9), words.word(4, 9), words.made(4, 8).capitalize()]),
               wp=words.made(3, 8), an=article, ans=article + "s", nu=rng.randint(2, 99), nv=rng.randint(2, 99), la=rng.choice(["French", "German", "Spanish", "Italian", "Latin"]), da=rng.choice(DAYS), ye=rng.randint(1200, 2020), t=words.time())
    return text, SORRY
