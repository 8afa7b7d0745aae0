# SPDX-License-Identifier: MIT
"""Composes wordings of requests to extract fields (<f>) of a sentence (<s>) as JSON from grammar parts: made_ask(rng) gives one wording."""

import re

# verbs before the fields; "~" is where the fields stand (at the end without it)
TAKE = """extract; pull out; pull; pick out; collect; fetch; gather; note; note down; list; find; get; get me; give me; hand me; show me; read off; read out; take; take out; single out;
    identify; look up; locate; spot; retrieve; dig out; filter out; grab;
    write down; jot down; report; return; output; print; tell me; send me; supply; provide; deliver; state; name; record; determine; work out; select; copy; copy out; lift; isolate;
    harvest; parse out; separate out; detect; mark down; capture;
    capture and return; find and return; find and list; search for; look for; put down; bring me; catch; sort out; scan for; pinpoint; recover; obtain; figure out; compile; assemble;
    itemise; pass me; spell out; set down; set out"""
MAKE = """produce; build; compose; make; create; write; output; return; give me; hand me; print; generate; prepare; construct; form; send me; put together; draw up; deliver; assemble;
    show me; set up; reply with; answer with; respond with;
    come back with; provide; derive; fill; supply; compile; emit; render; type out; knock together; craft; let me have; let me see"""
THING = """a JSON object; a JSON record; JSON; a JSON dictionary; a JSON entry; a small JSON object; one JSON object; a flat JSON object; a piece of JSON; a JSON structure; a JSON map;
    valid JSON; a JSON snippet; a JSON summary; the JSON;
    a tidy JSON object; plain JSON; a single-line JSON object; a JSON"""
HOLDING = """with; containing; that holds; holding; with the fields; with the keys; giving; of; with just; with only; that contains; that lists; listing; that has; for; consisting of; showing;
    that gives; out of; made up of; with the values for; stating; that names"""
AS_JSON = """as JSON; as JSON; as JSON; in JSON; in JSON format; as a JSON object; as a JSON record; in the form of JSON; in JSON form; as valid JSON; as plain JSON; formatted as JSON;
    written as JSON; in a JSON object;
    as one JSON object; as a JSON dictionary; as a piece of JSON; using JSON; in JSON notation; in a single JSON object; as JSON data; as JSON output; encoded as JSON;
    expressed as JSON; as key-value pairs in JSON; by way of JSON; wrapped in JSON; in the JSON format; as bare JSON; as compact JSON; as a flat JSON object; as a JSON map;
    as a JSON structure; as JSON text; as a JSON answer; in proper JSON"""
TURN = """turn; convert; change; transform; translate; rewrite; render; put; parse; recast; map; reduce; boil ~ down; break ~ down; transcribe; reshape; condense; distil; compress; pack; make;
    rework; process; bring; cast; shape; pour; format"""
INTO = """into JSON with; into a JSON object with; into JSON holding; into JSON: fields; into a JSON record of; into JSON containing; into a JSON object containing; into JSON that lists; into a
    JSON object holding; into JSON, keeping only; into JSON with the keys; into a JSON dictionary of; into JSON, fields"""
TEXT = """this sentence; this text; this line; this note; this message; the sentence; the text; the following sentence; the following text; the following line; the following;
    the following note; the sentence below; the text below; the line below; the next sentence;
    the message below; this snippet; this remark; this statement; this entry; this passage; this bit of text; this short text; this piece of news; this report; this memo; the note below;
    the next line; this one sentence; what follows; what is said here;
    these words; the words below; the following message; this piece of writing; the sentence I give you; my sentence; my note; the following remark; the following statement; this example;
    the example; this input; the input"""
EARLIER = """this sentence; this text; this line; this note; this message; the sentence; the text; the sentence above; the text above; the line above; the note above; the above;
    that sentence; that text; that line; that note; that message; this statement; this; that;
    the message above; what is said above; the preceding sentence; this remark; what I just wrote; my sentence; the words above; these words; this input; the passage above;
    the statement above; the quoted sentence; this entry; this snippet"""
OUT_OF = """from; from; from; in; of; out of; mentioned in; given in; found in; named in; contained in; that appear in; stated in; as given in; using; based on; as stated in; according to; that
    you find in; occurring in; present in; appearing in; going by; judging by; told in; hidden in"""
SOURCE = "from; from; from; using; based on; going by; judging by; according to; on the basis of; taken from; drawn from; with the help of"
PLEASE = """please; kindly; now; just; go ahead and; be so kind as to; your task is to; your job: ; task: ; you should; try to; next, ; quickly; for my records, ; for my database, ; do me a favour
    and; help me to; would you please; carefully; simply"""
ASKING = """can you; could you; would you; will you; can you please; could you please; would you please; may I ask you to; would you mind trying to; could you kindly; are you able to;
    could I get you to; do you think you could; might I ask you to; can you help me to;
    would you be so kind as to; is it possible for you to; could you quickly; can I ask you to; can you just; would it be possible to"""
WHAT = """what is; what are; what would be; which values belong to; what does it say about; which are; what do we learn about; what can you find about; which values do you see for;
    what do you read about; what values are there for"""
EXTRA = """, please; , thanks; , JSON only; , and nothing else; , no comments; , no explanations; , nothing more; , with no extra words; , without any comment; , and leave out the rest; , exactly
    as written; , keeping the words as they are; , and only that; , ignoring everything else; , keys in lower case; , in this order"""
TAKE_FIELDS = """{take}; {take}; {take}; {take}; {take} the following:; {take} these fields:; {take} these details:; {take} only; {take} just; {take} the values for; {take} the information on;
    {take} the details, that is,; {take} what you find for; {take} everything about"""
# whole wordings: bare imperatives, wordings that open otherwise, questions
ORDER = """{fields} {json} {source} {text}; {fields} {from} {text} {json}; {fields} {json}; {fields} {from} {text} as values of a JSON object; {make} {thing} {holding} <f> {from} {text};
    {make} {thing} {holding} <f>; {turn} {into} <f>; read {text} and {fields} {json}; go through {text} and {fields} {json}; look at {text} and {make} {thing} {holding} <f>;
    fill {thing} with <f> {from} {text}; fill in <f> {from} {text} {json}; scan {text} for <f> and answer {json}; use {text} to fill in <f> {json}; put <f> {from} {text} {json2};
    store <f> {from} {text} {json2}; save <f> {from} {text} {json2}; take {text} and {fields} {json}; search {text} for <f>, output {json};
    analyse {text} and {make} {thing} {holding} <f>; answer {json}: <f> {from} {text}; reply {json} with <f> {from} {text}; reduce {text} to <f>, {json};
    keep only <f> {from} {text}, {json}; copy <f> {from} {text} {json2}; arrange <f> {from} {text} {json2}; enter <f> {from} {text} {json2}; gather <f> {from} {text} {json2};
    write <f> {from} {text} {json2}; format <f> {from} {text} {json}; represent <f> {from} {text} {json}; present <f> {from} {text} {json}; encode <f> {from} {text} {json};
    express <f> {from} {text} {json}"""
OTHER = """{lead} {text}, {fields} {json}; given {text}, {fields} {json}; with {text} as the source, {fields} {json}; {thing}, please, {holding} <f> {from} {text}; <f> {json}, {source} {text};
    <f> {from} {text}, {json}; wanted: <f> {json} {source} {text}; needed: {thing} {holding} <f> {from} {text}; from what you read in {text}, {fields} {json}"""
QUESTION = """{asking} {fields} {json} {source} {text}; {asking} {fields} {from} {text} {json}; {asking} {turn} {into} <f>; {asking} {make} {thing} {holding} <f> {from} {text};
    {what} <f> in {text}, {json}; {what} <f> {json}, going by {text}; {what} <f> according to {text}, {json}; {asking} read {text} and {fields} {json};
    {asking} fill in <f> {from} {text} {json}; {asking} put <f> {from} {text} {json2}; how would you write <f> {from} {text} {json}; {asking} scan {text} for <f> and answer {json};
    may I have <f> {from} {text} {json}; can I have <f> {from} {text} {json}; could I see <f> {from} {text} {json}; can I get {thing} {holding} <f> {from} {text};
    may I see {thing} {holding} <f> {from} {text}; {asking} go through {text} and {fields} {json}"""
LEAD = "from; using; going by; based on; out of; starting from; taking; on the basis of; with the help of; working from; judging by"
INTO_JSON = "into JSON; into a JSON object; in JSON; in a JSON object; into one JSON object; into a JSON record; in JSON form; into a JSON dictionary; into valid JSON; into a flat JSON object"
# how the sentence is joined to the wording, after it and before it
AFTER = [": <s>", ": <s>", ": <s>", ": <s>", ":\n<s>", ":\n\n<s>", "\n<s>", "\n\n<s>", ': "<s>"', ": '<s>'", ':\n"<s>"', " - <s>", ". Here it is: <s>", ".\nText: <s>", ".\nSentence: <s>",
    ".\n\nSentence: <s>", ".\nInput: <s>", ". <s>", "; <s>", " >> <s>", " -> <s>", " = <s>", "...\n<s>",
    ":\n---\n<s>", ".\n\n<s>", " | <s>", ": “<s>”", ": «<s>»", ". Sentence: <s>", ". Text: <s>", ". The sentence: <s>", " // <s>"]
AFTER_QUESTION = [": <s>", ": <s>", ":\n<s>", ":\n\n<s>", "\n<s>", ': "<s>"', " - <s>", ": “<s>”", ": '<s>'", ":\n\"<s>\"", "\n\n<s>"]
BEFORE = ["<s>\n", "<s>\n\n", '"<s>"\n', '"<s>" - ', '"<s>": ', '"<s>" ', "“<s>” - ", "“<s>”\n", "<s>\n---\n", "sentence: <s>\n", "text: <s>\n", "text: <s>\n\n", "input: <s>\n",
    "sentence: \"<s>\"\n", "note: <s>\n", "<s>\ntask: ", "<s>\n-> ",
    "here is a sentence: <s>\n", "here is a text: \"<s>\" ", "consider this: <s>\n", "look: \"<s>\" - ", "it says: <s>\n\n", "message: <s>\n\n", "«<s>» - ", "<s>\n\n\n"]
BARE_AFTER = ["read this: \"<s>\" now ", "given \"<s>\", ", "take the sentence \"<s>\" and ", "from \"<s>\" ", "with \"<s>\" in mind, ", "go through \"<s>\" and "]
PART = re.compile(r"\{(\w+)\}")


def _parts(text):
    """The pieces of a text of the tables above, each on one line."""
    return [" ".join(part.split()) for part in text.split(";")]


TABLES = {"take": TAKE, "make": MAKE, "thing": THING, "holding": HOLDING, "json": AS_JSON, "json2": INTO_JSON, "into": INTO, "from": OUT_OF, "source": SOURCE, "lead": LEAD, "asking": ASKING,
    "what": WHAT, "fields": TAKE_FIELDS, "turn": TURN}
TABLES = {key: _parts(text) for key, text in TABLES.items()}
ORDERS, OTHERS, QUESTIONS, TEXTS, EARLIER_TEXTS, PLEASES, EXTRAS = (_parts(text) for text in (ORDER, OTHER, QUESTION, TEXT, EARLIER, PLEASE, EXTRA))


def _expand(rng, form, texts):
    """A form with its parts filled in; texts are the ways to speak of the sentence."""

    def fill(match):
        key = match[1]
        if key == "text":
            return rng.choice(texts)
        part = rng.choice(TABLES[key])
        if key == "fields":
            return PART.sub(fill, part) + " <f>"
        if key == "turn":
            text = rng.choice(texts)
            return part.replace("~", text) if "~" in part else f"{part} {text}"
        return part

    return PART.sub(fill, form)


def made_ask(rng):
    """One wording of a request; a question begins with "?" and has no question mark."""
    if rng.random() < 0.2:
        return "?" + _expand(rng, rng.choice(QUESTIONS), TEXTS) + rng.choice(AFTER_QUESTION)
    first = rng.random() < 0.35
    texts = EARLIER_TEXTS if first else TEXTS
    opening = rng.choice(BEFORE + BARE_AFTER) if first else ""
    if opening in BARE_AFTER:
        return opening + _expand(rng, rng.choice(["{fields} {json}", "{make} {thing} {holding} <f>"]), texts)
    if rng.random() < 0.2:
        wording = _expand(rng, rng.choice(OTHERS), texts)
    else:
        wording = _expand(rng, rng.choice(ORDERS), texts)
        if rng.random() < 0.15:
            wording = f"{rng.choice(PLEASES)} {wording}"
    if rng.random() < 0.2:
        wording += rng.choice(EXTRAS)
    return opening + wording if first else wording + rng.choice(AFTER)
