# SPDX-License-Identifier: MIT
"""Tools for function calling: written ones (training and held out) and invented ones, with requests and arguments.

A row is (names, descriptions, {parameter: (names, type, slot)}, requests); names, descriptions and requests are spintax, <x> a slot.
"""
import json

from pocket_words import DAYS, LANGUAGES, fill, spin

TRAIN = [
    ("get_weather|weather|current_weather|get_current_weather|fetch_weather", "{Get|Tell|Look up} the {current |}weather {in|of|for} a city|Current weather", {"c": ("city|location|place", "string", "city")},
     ["what is the weather {like |}in <c>", "how is the weather in <c>{ today|}", "{tell|give} me the weather {in|for|of} <c>", "is it {raining|sunny|cold|warm} in <c>", "weather in <c>", "{check|get} the weather {in|for} <c>", "do I need an umbrella in <c>", "what's the weather in <c>"]),
    ("get_forecast|weather_forecast", "{Forecast|Get the forecast} of the weather for some days", {"c": ("city|location", "string", "city"), "k": ("days", "integer", "small")},
     ["{give|show} me the forecast for <c> for <k> days", "what is the <k> day forecast {for|in} <c>", "forecast for <c>, <k> days", "how will the weather be in <c> for the next <k> days"]),
    ("get_time|current_time|get_current_time|clock", "{Get|Tell} the {current |}time in a city", {"c": ("city|location|place|timezone", "string", "city")},
     ["what time is it in <c>", "{tell|give} me the {current |}time in <c>", "what is the time in <c>{ now|}", "how late is it in <c>", "current time in <c>"]),
    ("set_timer|start_timer|timer", "{Set|Start} a timer", {"k": ("minutes", "integer", "small")},
     ["set a timer for <k> minutes", "start a <k> minute timer", "{put on|start} a timer of <k> minutes", "wake me in <k> minutes", "timer for <k> minutes", "count down <k> minutes"]),
    ("set_alarm|alarm|create_alarm", "{Set|Create} an alarm", {"t": ("time|at", "string", "time")},
     ["set an alarm for <t>", "wake me up at <t>", "{I need|make} an alarm at <t>", "alarm at <t>", "set the alarm to <t>"]),
    ("send_message|message|send_text|send_sms", "{Send|Write} a {text |}message to {a person|someone|a contact}", {"p": ("to|recipient|name|contact", "string", "name"), "m": ("message|text|body|content", "string", "phrase")},
     ["send a message to <p>: <m>", "tell <p> '<m>'", "{text|message} <p>: <m>", "write to <p>: <m>", "send <p> the message \"<m>\"", "send a text to <p> saying <m>", "let <p> know: <m>", "send '<m>' to <p>"]),
    ("send_email|email|write_email", "{Send|Write} an {email|e-mail}", {"p": ("to|recipient", "string", "name"), "s": ("subject|title", "string", "phrase")},
     ["send an email to <p> about <s>", "email <p> with the subject <s>", "write an email to <p>, subject: <s>", "send <p> an email with subject '<s>'"]),
    ("play_music|play_song|play|music", "Play {music|a song}", {"s": ("song|title|track", "string", "title")},
     ["play <s>", "play the song <s>", "put on <s>", "I want to hear <s>", "play the track '<s>'", "start playing <s>", "let me hear the song <s>"]),
    ("set_light|lights|switch_light|control_light", "{Switch|Turn} {a light|the light|lights} on or off", {"r": ("room|where", "string", "room"), "o": ("state", "string", "onoff")},
     ["turn <o> the {light|lights} in the <r>", "switch <o> the <r> {light|lights}", "turn the {light|lights} in the <r> <o>", "put the <r> {light|lights} <o>", "switch the {light|lamp} in the <r> <o>"]),
    ("book_table|reserve_table|restaurant_booking", "{Book|Reserve} a table {in|at} a restaurant", {"s": ("restaurant|place", "string", "title"), "k": ("people|guests|persons", "integer", "small"), "t": ("time", "string", "time")},
     ["book a table for <k> at <s> at <t>", "reserve a table at <s> for <k> people at <t>", "I need a table for <k> in <s> at <t>", "get us a table at <s>, <k> people, at <t>"]),
    ("web_search|search|search_web|google", "Search {the web|the internet|for something}", {"q": ("query|q|text|search", "string", "query")},
     ["search for <q>", "search the web for <q>", "look up <q>{ online|}", "find information about <q>", "google <q>", "do a search for <q>", "search: <q>"]),
    ("translate|translate_text|translator", "Translate {a text|text|words} into {another|a} language", {"m": ("text|phrase|words", "string", "phrase"), "l": ("language|target|to", "string", "language")},
     ["translate '<m>' {into|to} <l>", "translate {into|to} <l>: <m>", "how do you say '<m>' in <l>", "say \"<m>\" in <l>", "what is '<m>' in <l>", "I need '<m>' in <l>"]),
    ("create_reminder|set_reminder|remind|add_reminder", "{Create|Set} a reminder", {"m": ("text|message|what", "string", "phrase"), "t": ("time|when|at", "string", "time")},
     ["remind me at <t>: <m>", "remind me at <t> to <m>", "set a reminder for <t>: <m>", "reminder at <t>: <m>", "create a reminder '<m>' at <t>"]),
    ("create_event|add_event|calendar_event|schedule_event", "{Create|Add} {an event|a calendar event|an entry in the calendar}", {"s": ("title|name|event", "string", "phrase"), "d": ("date|day", "string", "date"), "t": ("time", "string", "time")},
     ["add <s> to my calendar on <d> at <t>", "create an event '<s>' on <d> at <t>", "schedule <s> for <d> at <t>", "put '<s>' in the calendar, <d>, <t>"]),
    ("convert_currency|currency|exchange", "Convert {money|an amount} {from one currency to another|between currencies}", {"k": ("amount", "number", "number"), "f": ("from", "string", "currency"), "g": ("to", "string", "currency2")},
     ["convert <k> <f> to <g>", "how many <g> are <k> <f>", "change <k> <f> into <g>", "what are <k> <f> in <g>", "exchange <k> <f> for <g>"]),
    ("get_stock_price|stock_price|stock|quote", "{Get|Look up} the {price|stock price} of a {stock|company}", {"s": ("symbol|company|ticker", "string", "company")},
     ["what is the stock price of <s>", "how much is a share of <s>", "get the stock {price|quote} of <s>", "how is the stock of <s> doing", "stock price for <s>"]),
    ("get_news|news|latest_news", "{Get|Read} the {latest |}news about a topic", {"q": ("topic|about|subject", "string", "query")},
     ["what is the news about <q>", "{give|show|read} me the {latest |}news about <q>", "any news on <q>", "latest news on <q>", "is there news about <q>"]),
    ("get_directions|directions|route|navigate", "{Get directions|Find the way} from one place to another", {"a": ("from|start|origin", "string", "city"), "b": ("to|destination|end", "string", "city")},
     ["how do I get from <a> to <b>", "directions from <a> to <b>", "find the way from <a> to <b>", "show me the {way|route} from <a> to <b>", "navigate from <a> to <b>"]),
    ("call_contact|call|phone_call|make_call", "{Call|Phone} {a contact|someone|a person}", {"p": ("name|contact|person", "string", "name")},
     ["call <p>", "phone <p>", "give <p> a call", "ring <p>{ please|}", "make a call to <p>", "I want to call <p>", "get <p> on the phone"]),
    ("open_app|launch_app|start_app", "{Open|Launch|Start} an {app|application}", {"a": ("app|name|application", "string", "app")},
     ["open the app <a>", "launch <a>", "open <a>", "start the <a> app", "open the application <a>"]),
    ("add_to_list|shopping_list|add_item", "Add {an item|something} to the {shopping |}list", {"i": ("item|what|name", "string", "item"), "k": ("quantity|count|amount", "integer", "small")},
     ["add <k> <i> to the {shopping |}list", "put <k> <i> on the {shopping |}list", "I need <k> <i> on my list", "shopping list: <k> <i>"]),
    ("set_temperature|thermostat|set_thermostat|heating", "Set the temperature {of|in} a room", {"r": ("room|where", "string", "room"), "k": ("degrees|temperature|value", "integer", "degrees")},
     ["set the {temperature|heating|thermostat} in the <r> to <k>{ degrees|}", "make it <k> degrees in the <r>", "heat the <r> to <k> degrees", "set the <r> to <k> degrees"]),
    ("define_word|dictionary|define|get_definition", "{Define a word|Get the definition of a word|Look up the meaning of a word}", {"w": ("word|term", "string", "word")},
     ["define <w>", "what does the word <w> mean", "look up the {word|meaning of} <w>", "give me the definition of <w>", "what is the meaning of <w>", "definition of <w>"]),
    ("find_recipe|recipe|get_recipe|search_recipe", "{Find|Get} a recipe{ for a dish|}", {"i": ("dish|food|name", "string", "dish")},
     ["find {me |}a recipe for <i>", "how do I cook <i>", "I want to cook <i>", "recipe for <i>", "give me a recipe for <i>", "how is <i> made"]),
    ("find_flight|search_flights|flights|book_flight", "{Find|Search|Book} {a flight|flights}", {"a": ("from|origin", "string", "city"), "b": ("to|destination", "string", "city"), "d": ("date|day", "string", "date")},
     ["find a flight from <a> to <b> on <d>", "I want to fly from <a> to <b> on <d>", "flights from <a> to <b>, <d>", "book a flight from <a> to <b> for <d>", "search flights <a> to <b> on <d>"]),
    ("book_hotel|find_hotel|hotel|reserve_hotel", "{Book|Find|Reserve} a hotel", {"c": ("city|location", "string", "city"), "k": ("nights", "integer", "small")},
     ["book a hotel in <c> for <k> nights", "I need a hotel in <c> for <k> nights", "find me a hotel in <c>, <k> nights", "reserve a hotel for <k> nights in <c>"]),
    ("calculate|calculator|math", "{Calculate|Evaluate|Work out} {an expression|a calculation}", {"e": ("expression|formula|input", "string", "expression")},
     ["calculate <e>", "what is <e>", "compute <e>", "work out <e>", "how much is <e>", "evaluate <e>"]),
    ("read_file|open_file|load_file", "{Read|Open|Load} a file", {"f": ("path|file|filename|name", "string", "file")},
     ["read the file <f>", "open <f>", "show me the {file|content of} <f>", "what is in <f>", "load <f>", "read <f>"]),
    ("delete_file|remove_file", "{Delete|Remove} a file", {"f": ("path|file|filename|name", "string", "file")},
     ["delete <f>", "delete the file <f>", "remove the file <f>", "remove <f>"]),
    ("create_note|add_note|take_note|save_note", "{Create|Save|Take} a note", {"m": ("text|note|content", "string", "phrase")},
     ["take a note: <m>", "note: <m>", "write down '<m>'", "make a note: <m>", "save a note saying <m>", "note down: <m>"]),
    ("get_joke|tell_joke|joke", "Tell a joke", {}, ["tell me a joke", "I want to hear a joke", "make me laugh", "do you know a joke", "a joke please"]),
    ("get_battery|battery_status|battery", "{Get|Show} the {battery level|state of the battery}", {}, ["how full is the battery", "what is the battery level", "check the battery", "show the state of the battery"]),
    ("set_volume|volume|change_volume", "{Set|Change} the volume", {"k": ("level|value|volume|percent", "integer", "degrees")},
     ["set the volume to <k>", "volume <k>", "change the volume to <k>", "put the volume at <k>", "make the volume <k>"]),
    ("get_user|find_user|lookup_user|get_customer", "{Get|Find|Look up} a {user|customer} by {id|number}", {"k": ("id|user_id|number", "integer", "number")},
     ["get the user with id <k>", "find user {number |}<k>", "who is user <k>", "look up customer <k>", "show me user <k>"]),
    ("track_package|track_order|track_parcel|order_status", "{Track|Find} {a package|an order|a parcel}", {"k": ("id|order_id|number", "integer", "number")},
     ["where is my {package|order|parcel} <k>", "track {package|order|parcel} {number |}<k>", "what is the status of {order|parcel} <k>"]),
    ("get_population|population", "{Get|Look up} the population of a {city|place}", {"c": ("city|place", "string", "city")},
     ["how many people live in <c>", "what is the population of <c>", "population of <c>"]),
    ("get_distance|distance", "{Get|Measure} the distance between two {places|cities}", {"a": ("from|start|a", "string", "city"), "b": ("to|end|b", "string", "city")},
     ["how far is it from <a> to <b>", "what is the distance {between <a> and <b>|from <a> to <b>}", "distance from <a> to <b>"]),
    ("buy_ticket|buy_tickets|order_tickets", "{Buy|Order} tickets for {a show|a film|an event}", {"s": ("show|film|event|title", "string", "title"), "k": ("count|number|quantity", "integer", "small")},
     ["buy <k> tickets for <s>", "I want <k> tickets for <s>", "get <k> tickets for the show <s>", "order <k> tickets for <s>"]),
]

HELD = [
    ("order_taxi", "Order a taxi to a place", {"b": ("destination", "string", "city"), "t": ("time", "string", "time")},
     ["order a taxi to <b> at <t>", "I need a taxi to <b> at <t>", "get me a taxi at <t> to <b>"]),
    ("lock_door", "Lock a door of the house", {"r": ("door", "string", "room")}, ["lock the <r> door", "please make sure the <r> door is locked"]),
    ("water_plants", "Water the plants in a room", {"r": ("room", "string", "room"), "k": ("minutes", "integer", "small")},
     ["water the plants in the <r> for <k> minutes", "give water to the plants in the <r>, <k> minutes"]),
    ("search_books", "Search books by an author", {"p": ("author", "string", "name")}, ["search books by <p>", "which books did <p> write", "find the books of the author <p>"]),
    ("post_tweet", "Post a tweet", {"m": ("text", "string", "phrase")}, ["post a tweet: <m>", "tweet this: <m>", "post the tweet '<m>'"]),
    ("pay_invoice", "Pay an invoice", {"k": ("invoice_id", "integer", "number")}, ["pay invoice <k>", "please pay the invoice number <k>"]),
    ("rent_bike", "Rent a bike in a city", {"c": ("city", "string", "city"), "k": ("hours", "integer", "small")}, ["rent a bike in <c> for <k> hours", "I would like to rent a bike for <k> hours in <c>"]),
    ("close_window", "Close the window of a room", {"r": ("room", "string", "room")}, ["close the window in the <r>", "shut the <r> window"]),
    ("get_exchange_rate", "Get the exchange rate of two currencies", {"f": ("base", "string", "currency"), "g": ("target", "string", "currency2")},
     ["what is the exchange rate of <f> to <g>", "show me the exchange rate from <f> to <g>"]),
    ("start_vacuum", "Start the vacuum robot in a room", {"r": ("room", "string", "room")}, ["start the vacuum in the <r>", "let the vacuum robot clean the <r>"]),
    ("get_train_times", "Get the times of trains between two cities", {"a": ("from", "string", "city"), "b": ("to", "string", "city")},
     ["when are there trains from <a> to <b>", "show me the trains from <a> to <b>"]),
    ("add_contact", "Add a contact to the address book", {"p": ("name", "string", "name"), "k": ("phone", "integer", "number")}, ["add the contact <p> with the number <k>", "save the contact <p>, phone <k>"]),
]

ROOMS = "kitchen bedroom bathroom hall garage cellar attic office garden balcony lounge study".split() + ["living room", "dining room", "guest room"]
CURRENCIES = "dollars euros pounds yen francs kroner pesos rupees USD EUR GBP JPY CHF".split()

VERBS = """create delete update find get list open close start stop show send move copy rename check book cancel order print archive assign
approve reject share tag lock reset scan clean paint fix sell buy check count build load plan mark store rate""".split()
HELD_VERBS = "remove launch fetch display repair measure export import".split()
CLAUSES = {  # slot -> parameter names, type, how a request says it
    "number": ("id|number|code", "integer", ["with id <x>", "number <x>", "with {the |}number <x>", "<x>"]),
    "name": ("name|person|user|owner", "string", ["for <x>", "of <x>", "{belonging to|owned by} <x>"]),
    "title": ("title|label|name", "string", ["called <x>", "named <x>", "with the title <x>", "'<x>'", "titled \"<x>\""]),
    "city": ("city|place|location", "string", ["in <x>"]),
    "colour": ("color|colour", "string", ["in the colour <x>", "in <x> colour", "with colour <x>"]),
    "date": ("date|day|when", "string", ["on <x>", "for <x>"]),
    "time": ("time|at", "string", ["at <x>"]),
    "small": ("count|amount|quantity|size", "integer", ["with size <x>", "<x> times", "of size <x>"]),
    "phrase": ("text|note|message|comment", "string", ["with the {text|note|comment|message} '<x>'", "saying \"<x>\"", "with the {text|note|message}: <x>", ": <x>"]),
    "word": ("tag|key|type|kind|word", "string", ["of {type|kind} <x>", "with {tag|key} <x>", "with the word <x>"]),
}


SLOT_NAMES = {}  # slot -> the parameter names that rows give it
for _, _, _params, _ in TRAIN:
    for _names, _, _slot in _params.values():
        SLOT_NAMES.setdefault(_slot, []).extend(_names.split("|"))


def slot_value(words, slot):
    """A value for a slot, as the request says it and as the arguments hold it."""
    rng = words.rng
    if slot == "small":
        return rng.choice([rng.randint(1, 9), rng.randint(1, 60)])
    if slot == "degrees":
        return rng.randint(1, 100)
    if slot == "number":
        return rng.choice([rng.randint(1, 99), rng.randint(100, 999), rng.randint(1000, 99999)])
    if slot == "room":
        return words.of(ROOMS) if rng.random() < 0.85 else words.made(4, 8)
    if slot == "onoff":
        return rng.choice(["on", "off"])
    if slot in ("currency", "currency2"):
        return words.of(CURRENCIES)
    if slot == "language":
        return words.of(LANGUAGES)
    if slot == "company":
        return rng.choice([words.made(4, 8).capitalize(), words.word(3, 8).capitalize(), words.letters(3, 4).upper()])
    if slot == "app":
        return rng.choice([words.noun(), words.made(4, 8).capitalize()])
    if slot == "query":
        return rng.choice([words.item(), words.full_name(), words.city(), words.items() + " in " + words.city(), words.phrase(), words.word(3, 9)])
    if slot == "dish":
        return rng.choice([words.item(), words.noun() + " " + rng.choice(["soup", "salad", "pie", "cake", "stew", "bread"]), words.noun() + " with " + words.noun()])
    if slot == "file":
        return words.word(3, 8) + rng.choice([".txt", ".csv", ".md", ".json", ".py", ".log", ".c"])
    if slot == "expression":
        op = rng.choice([" * ", " / ", " + ", " - ", "*", " x ", " times "])
        return f"{rng.randint(1, 999)}{op}{rng.randint(1, 999)}"
    return {"city": words.city, "time": words.time, "name": words.full_name, "phrase": words.phrase, "title": words.title, "date": words.date,
            "item": words.item, "word": lambda: words.word(3, 9), "colour": words.colour}[slot]()


def schema(name, description, params, rng):
    props = {}
    for pname, ptype, hint in params:
        props[pname] = {"type": ptype}
        if hint:
            props[pname]["description"] = hint
    return {"type": "function", "function": {"name": name, "description": description,
                                             "parameters": {"type": "object", "properties": props, "required": list(props)}}}


class Tool:
    """A tool as offered in one conversation, which can make up requests to itself."""

    def __init__(self, words, row=None):
        self.words = words
        rng = words.rng
        if row:
            names, descriptions, params, self.requests = row
            self.key = names
            self.name = rng.choice(names.split("|"))
            self.description = spin(rng, "{" + descriptions + "}")
            self.params = {k: (rng.choice(n.split("|")), t, s) for k, (n, t, s) in params.items()}
            if not words.held_out and rng.random() < 0.4:
                self.scramble()
        else:
            self.invent()
        self.finish()

    def invent(self, verb=None, noun=None):
        """verb_noun with one to three parameters."""
        words, rng = self.words, self.words.rng
        verb = verb or (rng.choice(HELD_VERBS) if words.held_out else words.word(3, 7) if rng.random() < 0.4 else rng.choice(VERBS))  # any word may be one: tools are found by their names
        noun = noun or (words.noun() if rng.random() < 0.6 else words.word(3, 8))
        self.verb, self.noun = verb, noun
        self.key = noun
        self.name = rng.choice([f"{verb}_{noun}"] * 4 + [f"{noun}_{verb}", f"{verb}{noun.capitalize()}"])
        slots = rng.sample(sorted(CLAUSES), rng.choice([1, 1, 2, 2, 3]))
        self.params, used = {}, set()
        for i, slot in enumerate(slots):
            names, kind, _ = CLAUSES[slot]
            name = rng.choice([n for n in names.split("|") if n not in used] or [names.split("|")[0] + str(i)])
            used.add(name)
            self.params[f"s{i}"] = (name, kind, slot)
        a = rng.choice(["a", "the", "one"])
        self.description = rng.choice([f"{verb.capitalize()} {a} {noun}", f"{verb.capitalize()} {a} {noun} by {self.params['s0'][0]}",
                                       f"{verb.capitalize()}s {a} {noun}", f"{verb.capitalize()} {a} {noun} with {' and '.join(p[0] for p in self.params.values())}"])
        order = sorted(self.params, key=lambda k: self.params[k][2] == "phrase")
        clauses = {k: rng.choice(CLAUSES[self.params[k][2]][2]) for k in order}
        tail = " ".join(clauses[k].replace("<x>", f"<{k}>") for k in order).replace(" : ", ": ")
        self.requests = [f"{verb} {rng.choice(['the', 'a', 'my', 'the'])} {noun} {tail}".replace(" : ", ": "), f"I want to {verb} the {noun} {tail}".replace(" : ", ": ")]
        if not words.held_out:
            self.requests += [text.replace(" : ", ": ") for text in (
                f"{verb} {noun} {tail}", f"I need to {verb} {a} {noun} {tail}", f"we have to {verb} our {noun} {tail}", f"is it possible to {verb} the {noun} {tail}", f"how do I {verb} {a} {noun} {tail}",
                f"{verb} {rng.choice(['this', 'that', 'another', 'our'])} {noun} {tail}", f"{noun} to {verb}: the one {tail}", f"somebody must {verb} the {noun} {tail}", f"let the {noun} be {verb}ed {tail}", f"{words.adjective()} {noun}: {verb} it {tail}")]

    def sibling(self):
        """Another tool with the same noun or the same verb."""
        other = Tool.__new__(Tool)
        other.words = self.words
        same_noun = self.words.rng.random() < 0.5
        other.invent(None if same_noun else self.verb, self.noun if same_noun else None)
        if same_noun:
            other.key = f"{other.verb} {other.noun}"
        other.finish()
        return other

    def finish(self):
        rng = self.words.rng
        if rng.random() < 0.3 and self.description[-1] != ".":
            self.description += "."
        self.schema = schema(self.name, self.description, [(n, t, "") for n, t, _ in self.params.values()], rng)

    def scramble(self):
        """Other names and types for a written tool and its parameters: a schema is read, not remembered."""
        words, rng = self.words, self.words.rng
        used, strange = set(), False
        for key, (name, kind, slot) in self.params.items():
            draw = rng.random()
            if draw < 0.25 and slot in SLOT_NAMES:
                name = rng.choice(SLOT_NAMES[slot])
            elif draw < 0.40 and not strange:
                name, strange = words.word(3, 8), True
            elif draw < 0.45:
                name += "_" + words.word(2, 6)
            while name in used:
                name = words.word(3, 8)
            used.add(name)
            if kind != "string" and rng.random() < 0.12:
                kind = "string"
            self.params[key] = (name, kind, slot)
        if rng.random() < 0.12:
            self.name = words.word(3, 7) + rng.choice(["_", ""]) + words.word(3, 7)

    def request(self):
        """A request for this tool and the call that answers it."""
        rng = self.words.rng
        values = {k: slot_value(self.words, s) for k, (_, _, s) in self.params.items()}
        if "f" in values and "g" in values:
            while values["g"] == values["f"]:
                values["g"] = rng.choice(CURRENCIES)
        if "a" in values and "b" in values:
            while values["b"] == values["a"]:
                values["b"] = self.words.city()
        text = fill(spin(rng, rng.choice(self.requests)), **values)
        return text, {"name": self.name, "arguments": {n: str(values[k]) if t == "string" else values[k] for k, (n, t, _) in self.params.items()}}


def call_text(call):
    return "<tool_call>\n" + json.dumps(call, ensure_ascii=False) + "\n</tool_call>"
