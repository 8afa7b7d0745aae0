# SPDX-License-Identifier: MIT
"""Words, names, cities and phrases for the training data, split into a training and a held-out part by a hash of the word."""
import hashlib
import re

ANIMALS = """cat dog horse tiger lion zebra monkey rabbit mouse elephant giraffe penguin otter badger falcon eagle sparrow raven salmon trout
shark whale dolphin turtle lizard snake frog beetle spider ant bee wasp goat sheep cow pig donkey camel wolf fox bear panda koala kangaroo
squirrel hedgehog hamster parrot pigeon swan duck goose heron crane owl crab lobster octopus snail worm moth butterfly dragon""".split()
FOODS = """apple banana cherry orange lemon lime peach pear plum grape mango melon papaya strawberry raspberry blueberry pineapple coconut carrot
potato tomato onion garlic pepper cabbage spinach lettuce celery pumpkin cucumber radish mushroom bread butter cheese milk honey sugar salt rice
pasta noodles soup stew pizza burger salad sandwich omelette pancake waffle muffin cookie cake pie tart yogurt cream coffee tea juice water
chocolate vanilla cinnamon ginger basil olive almond walnut peanut chestnut bacon ham sausage chicken turkey beef tofu beans lentils""".split()
OBJECTS = """table chair lamp desk shelf sofa bed pillow blanket mirror window door wall floor roof carpet curtain clock watch phone computer keyboard
screen printer cable battery radio camera guitar piano violin drum trumpet flute book pencil pen paper notebook envelope stamp bag box basket bottle
cup glass plate bowl spoon fork knife pan kettle oven fridge hammer nail screw saw drill ladder rope bucket brush broom candle torch umbrella hat coat
shirt jacket dress skirt scarf glove sock shoe boot belt ring necklace wallet coin key lock bicycle car bus train truck boat ship plane rocket
wheel engine anchor sail tent map compass ball kite puppet doll puzzle ticket flag bell crown sword shield arrow bridge tower castle house garden
fence gate tunnel harbor island mountain river lake ocean forest desert valley meadow canyon volcano glacier beach cave""".split()
OTHERS = """able above action active add age agree air alarm album alive alone angle answer arch area arm army art autumn baby back balance bank base
basic bean beauty begin behind below best better big bird birth black block blood blue board body bone border born bottom brain branch brave break
breath brick bright broad brother brown build burn busy button call calm captain care carry catch cause cell center chain chance change charge chart
chief child choice choose circle city class clean clear clever climb close cloud coast code cold collar color column common copper copy corner correct
cotton count country courage cousin cover crazy cross crowd cry culture curve cycle dance danger dark data daughter dawn day dead deal deep degree
delay depth design detail device dinner direct dirt distance divide doctor dollar double doubt down draft dream drink drive drop dry dust duty early
earth east easy echo edge editor effect effort eight electric eleven empty end energy enjoy enough equal error evening event every exact example
exercise expert extra eye fabric face fact factory fair fall false family famous far farm fast father fear feather field fifteen figure file film
final find finger finish fire first fish five flat flavor flight flow flower fold follow foot force forget form forward four frame free fresh friend
front fruit fuel full fun future game gas gentle giant gift girl give gold good grain grand grass gray great green ground group grow guard guess guest
guide habit hair half hall hand handle happy hard harvest head health hear heart heat heavy height help hero hidden high hill history hold hole holiday
home honest hope hotel hour huge human hundred hungry hunt hurry idea image inch index ink inside iron jewel job join joke journey joy judge jump
jungle junior just justice keep kernel kind king kitchen knee know label language large last laugh law layer lazy leader leaf learn leather left leg
legend lesson letter level library life light limit line liquid list listen little local logic long look loop loud love lucky machine magic main major
make manager many marble march market master match matter maximum meal measure medal medicine member memory message metal method middle mind minor
minute mirror mission mistake model modern moment money month moon morning mother motor mouth move movie muscle museum music mystery name narrow
nation nature near neck needle neighbor nephew nest network never new news next night nine noble noise normal north nose note nothing number object
ocean office often oil old open opinion order organ other outside oval oxygen page paint pair palace panel parade parent park part party pass past
path patient pattern peace people perfect period person photo phrase picture piece pilot pink place plain planet plant plastic play player pleasure
pocket poem poet point police polite pool poor popular port position post pound powder power practice present press pretty price pride prince print
prison prize problem process product program project proof proud public pull pulse punch pupil pure purple purpose push puzzle python quality quarter
queen question quick quiet rain rainbow raise range rapid rare reach read ready real reason record red region remember repair report rescue rest
result return reward rhythm rich ride right rise risk road rock role room root rose rough round route row royal rubber rule run safe sailor sample sand
scale scene school science score sea search season seat second secret section seed sense serve seven shadow shape share sharp shelter shine short
shoulder shout show side sight sign signal silence silk silver simple sister size skill skin sky sleep slide slope slow small smart smell smile smoke
smooth soft soil soldier solid solution song sound source south space spark speak special speed spell spice spin spirit sport spot spring square stable
staff stage stair star start state station steam steel step stick stone stop store storm story straight strange stream street strength string strong
student study style subject success sudden summer sun supply sure surface surprise sweet swim switch symbol system table tail talent talk tall target
task taste teacher team temple ten test text theater theory thick thin thing think thirteen thread three thumb thunder tiny tired tissue title today
token tomorrow tongue tool tooth topic total touch tough tour town trace track trade traffic trail travel treasure tree trial triangle tribe trick
trip trouble true trust truth tube turn twelve twenty twin type uncle under uniform union unique unit universe update upper usual vacation valid value
vector vehicle velvet verb version very victory video view village visit vital voice volume vote wagon walk warm wash waste wave weak wealth weather
week weight welcome west wet wheat white whole wide wild wind wine wing winner winter wire wise witness wonder wood wool word work world worry wrist
writer wrong yard year yellow young youth zero zone mississippi bookkeeper committee balloon coffee success tennis address parallel""".split()
NAMES = """Anna Ben Clara David Emma Felix Grace Henry Isabel Jack Karen Leo Maria Nina Oscar Paul Quentin Rosa Sam Tina Ursula Victor Wendy Xavier
Yara Zoe Alice Bob Carol Dave Eve Frank Gina Hugo Ivan Julia Kevin Laura Mark Nora Otto Peter Ruth Simon Tom Uma Vera Walter Yusuf Zara Amir Bella
Carlos Diana Elena Fatima George Hannah Ines James Katya Liam Mona Noah Olivia Priya Rahul Sofia Thomas Viktor Wei Yuki Ahmed Bruno Chloe Daniel
Erik Fiona Gustav Helen Igor Jana Klaus Lena Marco Nadia Olga Pedro Rita Stefan Tanya Ulrich Vanessa William Yvonne Adam Beth Connor Dora Edgar Flora
Greta Harold Irene Jonas Kim Lars Miguel Nelson Omar Paula Robert Sarah Tim Violet Anita Boris Celine Dmitri Esther Farid Gloria Hassan Ingrid Joel
Keiko Linda Martin Naomi Owen Petra Ravi Susan Theo Valentin Winston Arthur Brenda Cecil Doris Ernest Freya Gerald Hilda Iris Jerome Kirsten Lydia
Mason Nigel Opal Patrick Quinn Ramona Stella Trevor Alex Maya Lucas Mia Ella Ethan Lily Oliver Charlie""".split()
SURNAMES = """Smith Jones Miller Brown Garcia Keller Novak Rossi Silva Meyer Larsen Kim Tanaka Khan Patel Cohen Dubois Moreau Fischer Weber Hansen Costa
Lopez Murphy Walsh Turner Parker Cooper Baker Carter Hughes Foster""".split()
CITIES = """Paris London Berlin Madrid Rome Vienna Prague Warsaw Oslo Stockholm Helsinki Copenhagen Dublin Lisbon Athens Budapest Brussels Amsterdam
Zurich Geneva Munich Hamburg Milan Naples Turin Venice Florence Barcelona Seville Valencia Porto Lyon Nice Bordeaux Toronto Montreal Boston Chicago
Denver Seattle Dallas Houston Miami Atlanta Detroit Austin Phoenix Portland Tokyo Osaka Kyoto Seoul Beijing Shanghai Delhi Mumbai Bangkok Jakarta Manila
Hanoi Sydney Melbourne Perth Auckland Cairo Nairobi Lagos Accra Tunis Lima Bogota Quito Santiago Havana Kiev Riga Vilnius Tallinn Sofia Zagreb Belgrade
Ankara Istanbul Tehran Baghdad Dubai Doha Karachi Lahore Dhaka Kathmandu Leeds Bristol Glasgow Cardiff York Bath Oxford Cambridge Krakow Gdansk Bergen
Malmo Basel Bern Graz Linz Salzburg Bremen Dresden Leipzig Cologne Stuttgart""".split()
CITIES2 = ["New York", "Los Angeles", "San Francisco", "Hong Kong", "Cape Town", "Buenos Aires", "Mexico City", "Tel Aviv", "Rio de Janeiro", "Kuala Lumpur",
           "San Diego", "Las Vegas", "New Delhi", "Abu Dhabi", "Sao Paulo", "Saint Paul", "Salt Lake City", "The Hague"]
COLOURS = """red blue green yellow orange purple pink brown black white grey gray silver gold teal turquoise violet indigo crimson scarlet maroon olive lime
navy beige ivory coral salmon lavender magenta cyan amber bronze copper emerald ruby charcoal cream peach mint khaki azure""".split()
JOBS = """teacher doctor nurse baker farmer pilot driver painter writer engineer lawyer plumber carpenter chef waiter dentist sailor soldier singer actor
dancer gardener librarian mechanic electrician scientist journalist photographer tailor butcher judge clerk banker architect programmer fisherman
potter poet miner guard""".split()
ADJECTIVES = """red blue green small large big old new black white round wooden golden heavy light cheap fancy warm cold soft tall short yellow brown grey
broken clean shiny plain dark bright quiet wide narrow""".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
LANGUAGES = """French German Spanish Italian Portuguese Dutch Swedish Danish Polish Czech Greek Turkish Arabic Hindi Japanese Korean Chinese Russian
Finnish Hungarian Latin Norwegian""".split()
COUNTRIES = """France Germany Spain Italy Portugal Sweden Norway Finland Denmark Poland Greece Turkey Egypt Kenya Nigeria Ghana India China Japan Korea
Brazil Chile Peru Mexico Canada Australia Austria Hungary Iceland Ireland Belgium Cuba Iran Iraq Jordan Mongolia Nepal Vietnam Bhutan""".split()
REAL = sorted(set(ANIMALS + FOODS + OBJECTS + OTHERS))

ONSETS = "b c d f g h j k l m n p r s t v w z br cr dr fr gr pr tr bl cl fl gl pl sl sh ch th st sp sk sn sm sw tw qu x y kn wh str".split()
VOWELS = "a e i o u a e i o u a e i o u ai ea ee oo ou ie oa au io y".split()
CODAS = ["", "", "", "", "n", "r", "l", "s", "t", "m", "d", "k", "p", "g", "b", "nd", "nt", "st", "rk", "ck", "ll", "ss", "rt", "lm", "x", "ng", "sh", "th",
         "mp", "ff", "tt", "z"]


def held(word):
    """True for the eighth of all words that training never shows."""
    return hashlib.md5(word.lower().encode()).digest()[0] % 8 == 0


def spin(rng, text):
    """Expand {a|b|c}, innermost first."""
    while True:
        found = re.search(r"\{([^{}]*)\}", text)
        if not found:
            return text
        text = text[: found.start()] + rng.choice(found.group(1).split("|")) + text[found.end():]


def fill(text, **slots):
    for key, value in slots.items():
        text = text.replace(f"<{key}>", str(value))
    return text


class Words:
    """Draws words of one split: training words, or held-out ones."""

    def __init__(self, rng, held_out=False):
        self.rng, self.held_out = rng, held_out
        self.lists = {}

    def of(self, values):
        """One of the list's words that belong to this split."""
        key = id(values)
        if key not in self.lists:
            kept = [v for v in values if held(v) == self.held_out]
            self.lists[key] = kept or list(values)
        return self.rng.choice(self.lists[key])

    def made(self, low=3, high=9):
        """A pronounceable word that nobody has seen."""
        while True:
            count = self.rng.choice([1, 2, 2, 2, 3, 3])
            word = "".join(self.rng.choice(ONSETS) + self.rng.choice(VOWELS) for _ in range(count)) + self.rng.choice(CODAS)
            if self.rng.random() < 0.12:
                word = self.rng.choice(VOWELS) + word
            if low <= len(word) <= high and held(word) == self.held_out:
                return word

    def letters(self, low=3, high=8):
        while True:
            word = "".join(self.rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(self.rng.randint(low, high)))
            if held(word) == self.held_out:
                return word

    def grown(self):
        """Another word grown from any real one: so the letters of every piece are met, if not every word."""
        while True:
            base = self.rng.choice(REAL)
            word = base + self.rng.choice(["s", "s", "ing", "ed", "er", "y", "ly", "ful", "est", "o", "a", "et"]) if self.rng.random() < 0.7 else self.rng.choice(["re", "un", "in", "ab", "ex", "de", "a", "o"]) + base
            if not held(word):
                return word

    def word(self, low=2, high=9):
        """A real word, an invented one, or now and then random letters."""
        for _ in range(60):
            kind = self.rng.random()
            if kind < 0.08 and not self.held_out:
                word = self.grown()
            elif kind < 0.55:
                word = self.of(REAL)
                if self.rng.random() < 0.12:
                    word = word + self.rng.choice(["s", "ing", "ed", "er"])
                    if held(word) != self.held_out:
                        continue
            elif kind < 0.93 or self.held_out:
                word = self.made(low, high)
            else:
                word = self.letters(max(low, 3), min(high, 7))
            if low <= len(word) <= high:
                return word
        return self.made(low, high)

    def noun(self):
        return self.of(OBJECTS if self.rng.random() < 0.6 else ANIMALS if self.rng.random() < 0.5 else FOODS)

    def name(self):
        return self.of(NAMES) if self.rng.random() < 0.6 else self.made(3, 8).capitalize()

    def full_name(self):
        last = self.of(SURNAMES) if self.rng.random() < 0.5 else self.made(3, 8).capitalize()
        return self.name() + (" " + last if self.rng.random() < 0.4 else "")

    def city(self):
        kind = self.rng.random()
        if kind < 0.12:
            return self.of(CITIES2)
        if kind < 0.18:
            return self.rng.choice(["New", "Port", "Saint", "North", "Old", "Upper"]) + " " + self.made(4, 8).capitalize()
        return self.of(CITIES) if kind < 0.62 else self.made(4, 9).capitalize()

    def colour(self):
        kind = self.rng.random()
        if kind < 0.1:
            return self.rng.choice(["dark", "light", "pale", "deep", "bright"]) + " " + self.of(COLOURS)
        return self.of(COLOURS) if kind < 0.85 else self.made(4, 8)

    def adjective(self):
        return self.of(ADJECTIVES)

    def item(self):
        kind = self.rng.random()
        if kind < 0.5:
            return self.noun()
        if kind < 0.9:
            return self.of(ADJECTIVES) + " " + self.noun()
        return self.made(3, 8) + " " + self.noun()

    def items(self):
        noun = self.item()
        return noun if noun.endswith("s") else noun + "s"

    def time(self):
        kind = self.rng.random()
        if kind < 0.7:
            return f"{self.rng.randint(0, 23)}:{self.rng.choice([0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55]):02d}"
        return f"{self.rng.randint(1, 12)} {self.rng.choice(['am', 'pm'])}"

    def date(self):
        kind = self.rng.random()
        if kind < 0.35:
            return self.rng.choice(DAYS)
        if kind < 0.55:
            return self.rng.choice(["tomorrow", "today", "tonight", "next week", "next " + self.rng.choice(DAYS)])
        if kind < 0.8:
            return f"{self.rng.choice(MONTHS)} {self.rng.randint(1, 30)}"
        return f"{self.rng.randint(1, 28)} {self.rng.choice(MONTHS)}"

    def number(self, high=999):
        return self.rng.choice([self.rng.randint(1, 9), self.rng.randint(10, 99), self.rng.randint(1, high)])

    def title(self):
        """A made-up title, each word with a capital."""
        kind = self.rng.random()
        if kind < 0.5:
            return f"The {self.of(ADJECTIVES).capitalize()} {self.noun().capitalize()}"
        if kind < 0.75:
            return " ".join(self.word(3, 8).capitalize() for _ in range(self.rng.randint(1, 3)))
        return f"{self.noun().capitalize()} of {self.rng.choice(['the ', ''])}{self.word(4, 8).capitalize()}"

    def phrase(self):
        """Two to seven words, as in a note or a message."""
        kind = self.rng.random()
        if kind < 0.6:
            text = self.rng.choice([
                "buy <n>", "call <p>", "I will be late", "see you <d>", "meet <p> at <t>", "the <n> is ready", "bring the <i>", "happy birthday <p>",
                "pick up the <n>", "the meeting is on <d>", "water the plants", "feed the <a>", "I am on my way", "please bring <n> and <m>",
                "thank you for the <i>", "dinner at <t>", "return the <i>", "clean the <n>", "the <a> is in the <n>", "we need more <n>",
                "pay the rent", "wait for me", "good luck <p>", "book the <n>", "I love <c>", "fix the <i>", "ask <p> about the <n>",
                "come home soon", "do not forget the <n>", "where is the <n>", "the <n> costs <k>", "I have lost my <n>"])
            return fill(text, n=self.noun(), m=self.noun(), p=self.name(), d=self.date(), t=self.time(), i=self.item(), a=self.of(ANIMALS),
                        c=self.city(), k=self.number())
        return " ".join(self.word(2, 8) for _ in range(self.rng.randint(2, 6)))
