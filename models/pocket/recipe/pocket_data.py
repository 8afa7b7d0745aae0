# SPDX-License-Identifier: MIT
"""Conversations: composes the tasks into chats with systems, tools and history, renders, tokenises and packs them."""
import json
import random

import pocket_tasks as tasks
from pocket_tools import HELD, TRAIN, Tool, call_text
from pocket_tools_more import MORE, MORE_CLASH
from pocket_tools_wide import AMBIGUOUS, OPPOSITES, WIDE
from pocket_words import Words, fill, spin

SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TAGS = ["<tool_call>", "</tool_call>"]

SYSTEMS = ["You are a helpful assistant.", "You are Pocket, a small assistant.", "You are a helpful, honest assistant.", "Answer briefly.", "You are an assistant that answers briefly and exactly.", "You are Pocket, the model of Cupola.", "Be polite and short.", "You are a friendly chatbot.",
           "You are a careful assistant. If you do not know something, say so.", "You help people with small tasks.", "You are an AI assistant.", "Please answer the user's questions.", "You are the assistant of a company named <w>.", "You are <p>, a helpful assistant.", "The user is a <n>. Be kind.", "Today is <d>.", "Current date: <d>. Current time: <t>.",
           "You work for <w> in <c>. Help the user.", "You are a helpful assistant with access to tools.", "Use the tools when they help.", "You are running inside <w>.", "Answer in English.", "Keep it short. Do not guess.", "<m>. <v>.", "<m>.", "You are a <n> who helps people. <m>."]
SYSTEMS_HELD = ["You are a kind and helpful assistant.", "You answer questions exactly.", "Act as the assistant of <p>.", "You are a chatbot in the shop of <w>. <m>.", "You are a good assistant. Answer in one line.", "Help the user as well as you can."]


def system(words):
    text = words.rng.choice(SYSTEMS_HELD if words.held_out else SYSTEMS)
    return fill(text, w=words.made(4, 8).capitalize(), p=words.name(), n=words.noun(), d=words.date(), t=words.time(), c=words.city(), m=words.phrase().capitalize(), v=words.phrase().capitalize())


def greeting_or_fact(words):
    return tasks.greeting(words) if words.rng.random() < 0.15 else tasks.fact(words)


PLAIN = {  # task -> share among plain turns
    "facts": (greeting_or_fact, 16), "arithmetic": (tasks.arithmetic, 9), "sorting": (tasks.sorting, 50), "reversing": (tasks.reversing, 9), "counting": (tasks.counting, 13), "spelling": (tasks.spelling, 7),
    "units": (tasks.units, 5), "extraction": (tasks.extraction, 60), "unknown": (tasks.unknown, 14),
}
WRITTEN = TRAIN + MORE
OPPOSITE = {}  # first name -> the rows that only a verb tells apart from it
for one, two in OPPOSITES:
    for name, other in ((one, two), (two, one)):
        OPPOSITE.setdefault(name, []).append(next(row for row in WIDE if row[0].split("|")[0] == other))
NAMES, SHARES = list(PLAIN), [share for _, share in PLAIN.values()]


def plain_turn(words, but=()):
    while True:
        name = words.rng.choices(NAMES, SHARES)[0]
        if name not in but:
            return PLAIN[name][0](words)


class Chat:
    """A conversation under construction: OpenAI-style messages and tools."""

    def __init__(self, words, system_share=0.4):
        self.messages, self.tools = [], None
        if words.rng.random() < system_share:
            self.messages.append({"role": "system", "content": system(words)})

    def turn(self, pair):
        self.messages += [{"role": "user", "content": pair[0]}, {"role": "assistant", "content": pair[1]}]

    def call(self, text, call):
        self.messages += [{"role": "user", "content": text}, {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": call}]}]


def written_tools(words):
    """The written rows of one conversation: rows of both lists might answer each other's requests."""
    return WIDE if not words.held_out and words.rng.random() < 0.5 else WRITTEN


def offer(words, count, written):
    """`count` tools that do not answer each other's requests."""
    rng, out, keys = words.rng, [], set()
    while len(out) < count:
        opposites = [row for t in out for row in OPPOSITE.get(t.key.split("|")[0], [])] if written is WIDE and rng.random() < 0.4 else None
        tool = Tool(words, rng.choice(opposites or (HELD if words.held_out and rng.random() < 0.5 else written)) if rng.random() < 0.66 else None)
        if tool.key in keys or tool.name in {t.name for t in out} or clash(tool.key, keys):
            continue
        keys.add(tool.key)
        out.append(tool)
        if not words.held_out and tool.key == getattr(tool, "noun", "") and len(out) < count and rng.random() < 0.35:
            other = tool.sibling()
            if other.key not in keys and other.name not in {t.name for t in out}:
                keys.add(other.key)
                out.append(other)
    return out


def clash(key, keys):
    """Tools whose requests could be taken for each other's."""
    groups = [("get_weather", "get_forecast"), ("read_file", "open_app"), ("web_search", "get_news"), ("book_table", "find_recipe"), ("create_note", "add_to_list", "create_reminder"), ("convert_currency", "get_exchange"),
              ("find_flight", "get_directions", "get_distance", "get_train"), ("find_recipe", "add_to_list"), ("define_word", "web_search"), ("set_timer", "set_alarm"), ("get_user", "web_search"), *MORE_CLASH, *AMBIGUOUS]
    for group in groups:
        if any(key.startswith(g) for g in group) and any(k.startswith(g) for g in group for k in keys):
            return True
    return False


def tool_result(words):
    """What a tool gives back, and the answer that passes it on."""
    rng = words.rng
    if rng.random() < 0.2:
        text = rng.choice(["done", "ok", words.phrase(), str(words.number()), words.word(3, 8)])
        return text, f"The result is: {text}."
    keys = rng.sample(["temperature", "sky", "status", "price", "time", "count", "name", "city", "result", "total", "message", "state", "level", "date", "text", words.word(3, 8)], rng.randint(1, 3))
    values = {k: rng.choice([words.number(), words.number(), words.word(3, 8), words.item(), words.city(), words.time()]) for k in keys}
    return json.dumps(values), "The result is: " + ", ".join(f"{k} {v}" for k, v in values.items()) + "."


def absent_request(words, offered, written):
    """A request to a tool that is not offered."""
    keys = {t.key for t in offered}
    nouns = " ".join(t.name.lower() for t in offered)
    searches = any(k.startswith(("web_search", "get_news")) for k in keys)  # a search could answer nearly anything: only odd requests are absent then
    while True:
        tool = Tool(words, words.rng.choice(HELD if words.held_out and words.rng.random() < 0.5 else written) if words.rng.random() < 0.75 and not searches else None)
        if tool.key not in keys and not clash(tool.key, keys) and tool.key.split("|")[0].lower() not in nouns:
            return tool.request()[0]


def tool_chat(words, low=4, high=6, absent=False, final=False):
    """A conversation with tools; `final` makes the last turn a call (or with `absent` a refusal)."""
    rng = words.rng
    chat = Chat(words)
    written = written_tools(words)
    tools = offer(words, rng.randint(low, high), written)
    chat.tools = [t.schema for t in tools]
    calculator = any(t.key.startswith("calculate") for t in tools)
    for _ in range(0 if final and rng.random() < 0.7 else 1 if final else rng.choice([3, 4, 5, 6, 7, 8, 9])):
        kind = rng.random()
        if kind < 0.62:
            tool_call_turn(words, chat, rng.choice(tools))
        elif kind < 0.82:
            chat.turn((absent_request(words, tools, written), tasks.NO_TOOL))
        else:
            chat.turn(plain_turn(words, ("unknown", "arithmetic") if calculator else ("unknown",)))
    if final and absent:
        chat.turn((absent_request(words, tools, written), tasks.NO_TOOL))
    elif final:
        text, call = rng.choice(tools).request()
        chat.call(wrap_request(words, text), call)
    return chat


def wrap_request(words, text):
    """A request with a wrapper before it; what follows stays bare, since arguments often end it."""
    rng = words.rng
    wraps = [w for w in (tasks.WRAP_DO_HELD if words.held_out else tasks.WRAP_DO + tasks.WRAP_ASK) if w.endswith("<x>")]
    text = rng.choice(wraps).replace("<x>", text) if rng.random() < 0.4 else text
    if not words.held_out and rng.random() < 0.08:
        text = tasks.odd_opening(words) + text
    text = tasks.lead(rng, text)
    if text.lower().startswith(("what", "how", "who", "is ", "do ", "where", "any ")) and rng.random() < 0.8:
        return text + "?"
    return text + "." if text[-1] not in "'\"?." and rng.random() < 0.2 else text  # a closing full stop is never part of an argument


def tool_call_turn(words, chat, tool):
    text, call = tool.request()
    chat.call(wrap_request(words, text), call)
    if words.rng.random() < 0.45:
        result, answer = tool_result(words)
        chat.messages += [{"role": "tool", "content": result}, {"role": "assistant", "content": answer}]


KINDS = ["name", "city", "colour"]


def recall_chat(words, final=False):
    """Something is told, other turns follow, then it is asked for."""
    rng = words.rng
    chat = Chat(words, 0.3)
    kinds = rng.sample(KINDS, 1 if rng.random() < 0.55 else 2 if rng.random() < 0.7 else 3)
    values = {k: tasks.value_of(words, k) for k in kinds}
    told = list(kinds)
    if len(told) > 1 and rng.random() < 0.5:
        told.sort(key=KINDS.index)
        chat.turn(tasks.tell_two(words, told[0], values[told[0]], told[1], values[told[1]]))
        told = told[2:]
    for kind in told:
        chat.turn(tasks.tell(words, kind, values[kind]))
        if rng.random() < 0.25 and not final:
            chat.turn(plain_turn(words))
    if not final and rng.random() < 0.1:
        kind = rng.choice(kinds)
        values[kind] = tasks.value_of(words, kind)
        chat.turn(tasks.tell(words, kind, values[kind]))
    gap = rng.choice([1, 1, 2, 2, 3]) if final else rng.choice([0, 0, 1, 1, 2, 3, 5])
    for _ in range(max(0, gap + 1 - len(kinds) if final else gap)):
        chat.turn(plain_turn(words))
    if final:
        kind = rng.choice(kinds)
        chat.turn(tasks.recall(words, kind, values[kind]))
        return chat
    for kind in rng.sample(KINDS, rng.randint(1, 3)):
        if kind in values or rng.random() < 0.5:
            chat.turn(tasks.recall(words, kind, values.get(kind)))
        if rng.random() < 0.2:
            chat.turn(plain_turn(words))
    return chat


def plain_chat(words):
    rng = words.rng
    chat = Chat(words)
    for _ in range(rng.choice([1, 1, 1, 2, 2, 3, 4])):
        chat.turn(plain_turn(words) if rng.random() < 0.965 else tasks.recall(words, rng.choice(KINDS), None))
    return chat


def long_chat(words):
    """Many turns, for rows of a thousand tokens."""
    rng = words.rng
    chat = tool_chat(words, 5, 9) if rng.random() < 0.3 else recall_chat(words)
    tools = chat.tools is not None
    for _ in range(rng.randint(6, 14)):
        chat.turn(plain_turn(words, ("unknown", "arithmetic") if tools else ()))
    return chat


def training_chat(words):
    kind = words.rng.random()
    if kind < 0.30:
        return tool_chat(words, *words.rng.choice([(4, 6), (4, 5), (2, 5)]))
    if kind < 0.38:
        return recall_chat(words)
    return plain_chat(words)


# --- held-out examples -----------------------------------------------------------------------------------------------------------

TASKS = ["facts", "arithmetic", "sorting", "reversing", "counting", "spelling", "units", "recall", "extraction", "tools", "unknown"]


def example(words, task):
    """(messages up to the request, tools or None, the exact answer)."""
    rng = words.rng
    if task == "recall":
        chat = recall_chat(words, final=True)
    elif task == "tools":
        chat = tool_chat(words, final=True)
    elif task == "unknown" and rng.random() < 0.35:
        chat = tool_chat(words, absent=True, final=True)
    else:
        chat = Chat(words, 0.35)
        for _ in range(rng.choice([0, 0, 0, 1, 2])):
            chat.turn(plain_turn(words))
        if task == "unknown" and rng.random() < 0.2:
            chat.turn(tasks.recall(words, rng.choice(KINDS), None))
        else:
            chat.turn(PLAIN[task][0](words))
    last = chat.messages.pop()
    answer = call_text(last["tool_calls"][0]["function"]) if last.get("tool_calls") else last["content"]
    return chat.messages, chat.tools, answer


# --- text and tokens -------------------------------------------------------------------------------------------------------------

def tool_line(tool):
    f = tool["function"]
    params = ", ".join(f"{json.dumps(k)}: {json.dumps(v.get('type', 'string'))}" for k, v in f["parameters"]["properties"].items())
    return f'\n{{"name": {json.dumps(f["name"])}, "description": {json.dumps(f["description"])}, "parameters": {{{params}}}}}'


READ, WRITTEN_BY_MODEL, CALLED, NOT_CALLED = range(4)  # what a piece is to training; the last two: names of tools, of which the request is for one or none


def pieces(messages, tools):
    """The chat template, as [(text, what it is)]: the same text that chat_template.jinja gives."""
    out, rest = [], list(messages)
    head = rest.pop(0)["content"] if rest and rest[0]["role"] == "system" else ""
    if tools:
        head += ("\n\n" if head else "") + "Tools:" + "".join(tool_line(t) for t in tools)
    text = f"<|im_start|>system\n{head}<|im_end|>\n" if head else ""
    for i, m in enumerate(rest):
        text += f"<|im_start|>{m['role']}\n"
        if m["role"] == "assistant":
            out.append((text, READ))
            body = m["content"] + "".join(call_text(c["function"]) for c in m.get("tool_calls", []))
            out.append((body + "<|im_end|>", WRITTEN_BY_MODEL))
            text = "\n"
        else:
            text += m["content"] + "<|im_end|>\n"
            if tools and m["role"] == "user":
                text += "<|im_start|>tools"
                called = {c["function"]["name"] for c in (rest[i + 1].get("tool_calls", []) if i + 1 < len(rest) else [])}
                for name in (t["function"]["name"] for t in tools):
                    out += [(text + "\n", READ), (name, CALLED if name in called else NOT_CALLED)]
                    text = ""
                text = "<|im_end|>\n"
    return out


CALL_HEAD = '<tool_call>\n{"name": "'


def encode(tokenizer, chat):
    """ids; what each is; at the ends of tools' names behind a request how they begin, else -1; where a tool is called, the end of its name, else -1."""
    ids, mask, begins, pointer, called = [], [], [], [], -1
    head = tokenizer.encode(CALL_HEAD, add_special_tokens=False).ids
    for text, kind in pieces(chat.messages, chat.tools):
        part = tokenizer.encode(text, add_special_tokens=False).ids
        ids += part
        mask += [kind] * len(part) if kind == WRITTEN_BY_MODEL else [READ] * (len(part) - 1) + [kind]
        pointer += [-1] * len(part)
        begins += [-1] * (len(part) - 1) + [part[0] if kind in (CALLED, NOT_CALLED) else -1]
        if kind == CALLED:
            called = len(ids) - 1
        elif kind == WRITTEN_BY_MODEL and called >= 0 and part[:len(head)] == head:
            start = len(ids) - len(part)
            for p in (start - 1, start + len(head) - 1):  # what comes next there: a call, the name
                pointer[p] = called
            called = -1
    return ids, mask, begins, pointer


def rows(tokenizer, seed, longest):
    """Endless conversations of at most `longest` tokens, encoded."""
    rng = random.Random(seed)
    words = Words(rng)
    while True:
        chat = long_chat(words) if rng.random() < 0.01 else training_chat(words)
        row = encode(tokenizer, chat)
        if len(row[0]) <= longest:
            yield row
