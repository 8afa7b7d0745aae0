# SPDX-License-Identifier: MIT
"""Composes sentence frames with slots (`<name> moved to <city> in <year>.`) from grammar parts: made_frame(rng) gives one frame."""

import re

# Verbs are written as "head rest", the head is inflected; "~" is where the object stands (at the end without it).
LEXICON = {
    # a person does something to a thing; all of these can be turned into the passive
    "act": """repair; mend; fix; steal; borrow; return; lose; find; break; clean; polish; carry; lift; drop; drag away; hide; bury; dig up; wrap; unwrap; pack; unpack; collect; pick up;
        pick out; choose; inherit; donate; lend out; swap; exchange; throw away; throw out; toss ~ aside; discard; scrap; recycle; dismantle; take ~ apart; assemble; put ~ together; build;
        make; craft;
        design; sketch; draw; photograph; film; describe; admire; examine; inspect; weigh; measure; test; try out; oil; dust off; rinse; scrub; wash; dry; knock over; smash; crush; dent;
        scratch; spoil;
        ruin; damage; wreck; burn; soak; restore; refurbish; varnish; decorate; engrave; label; tag; insure; store; stash ~ away; lock up; lock ~ away; guard; keep; cherish; treasure;
        praise; recommend;
        review; display; exhibit; show off; unveil; cover; uncover; deliver; fetch; bring ~ back; bring ~ along; take ~ home; send ~ back; mail; post; ship; smuggle ~ out; confiscate;
        seize; snatch; grab;
        pinch; misplace; mislay; leave ~ behind; forget; track down; hand over; hand ~ in; give away; give ~ back; pass on; dump; abandon; ditch; chuck ~ out; win; accept; refuse; reject;
        turn down; claim;
        demand; request; reserve; put ~ aside; set ~ aside; copy; forge; replace; modify; adjust; upgrade; use; handle; touch; hold; clutch; turn ~ over; flip ~ over; shake; tie up;
        strap ~ down; load; unload;
        haul ~ away; tow ~ away; wheel ~ out; roll ~ away; shove ~ aside; hurl ~ away; fling ~ out; catch; retrieve; rescue; salvage; recover; spot; notice; discover; locate; identify;
        recognise; invent;
        patent; sharpen; stretch; bend; heat up; cool ~ down; shorten; glue ~ back together; nail ~ to the wall; hang ~ up; put ~ down; put ~ away; place ~ on the shelf; set ~ on fire;
        bring ~ to the attic;
        take ~ to the dump; leave ~ on the train; keep ~ in the cellar; move ~ to the shed; drop ~ down the stairs; hide ~ under the bed; push ~ through the door; pull ~ out of the mud;
        lower; raise; tip ~ over;
        fill up; empty; mark; count; hit; kick; bless; curse; mock; criticise; value; appraise; photograph; carve; mould; sew; knit; tape up; seal; unseal; rename; bring in""",
    # the same without a good passive
    "prep": """ask for; look after; wait for; want; need; possess; covet; crave; miss; remember; search for; look for; hunt for; save up for; long for; part with; get rid of; make off with; run
        off with; come across;
    stumble upon; play with;
        fiddle with; tinker with; work on; point at; stare at; laugh at; complain about; rave about; write about; dream of; dispose of; let go of; get hold of; haggle over; hang on to;
        do without; care about;
        bump into; trip over; sit down on; lean against; struggle with; reach for; get; receive; keep an eye on; take care of; fall in love with; lose track of; lay claim to; go back for;
        come for; argue about;
        bring up the subject of; boast about; swear by; depend on; specialise in fixing; put up with; turn up with; walk out with; show up with; come home with; arrive with; leave with;
        shop for; ask about""",
    # money may be named
    "trade": """buy; sell; purchase; acquire; rent; lease; pawn; auction off; snap up; flog; order; obtain; trade in; offer; bring home; bid for; pick up; buy back; sell off; resell; get;
    hire; procure; secure; grab; let go of; part with""",
    # a person and an item and where it goes or comes from
    "to": """sell; return; send; lend; donate; rent; give; mail; deliver; ship; hand over; promise; present; offer; bequeath; lease; forward; show; bring; pass on; post; entrust""",
    "from": """buy; order; get; borrow; rent; steal; receive; collect; pick up; lease; obtain; fetch; win; take; purchase; request; demand; acquire; hire; accept; retrieve; buy back""",
    # a person goes to a city
    "go": """move to; go to; travel to; drive to; fly to; sail to; cycle to; walk to; hike to; ride to; head for; set off for; leave for; set out for; make for; return to; come back to;
    relocate to; emigrate to; flee to;
        escape to; run away to; rush to; hurry to; commute to; hitchhike to; journey to; race to; march to; take the train to; catch a bus to; take a taxi to; book a flight to;
        buy a ticket to; get to;
        make it to; find the way to; migrate to; be sent to; be transferred to; be posted to; be invited to; retire to; go on holiday to; take a ferry to; jog to; trek to; drift to;
        roll into; swim to; paddle to;
        ride a bicycle all the way to; be on the road to; get a lift to; go back to; dash off to; withdraw to; cruise to; transfer to; push on to; be driven to; be flown to""",
    "leave": """leave; flee; abandon; quit; depart from; start out from; escape from; move away from; come over from; return from; drive down from; fly in from; be expelled from;
    get away from; set off from; slip out of""",
    # a person is in a city
    "at": """live in; stay in; settle in; settle down in; end up in; turn up in; show up in; land in; arrive in; remain in; stop over in; pass through; reach; visit; tour; explore;
    grow up in; study in; spend a week in;
        own a flat in; rent rooms in; look for work in; feel at home in; get lost in; get married in; run a shop in; be stuck in; be based in; put down roots in; change trains in;
        fall ill in; be seen in; disappear in;
        have relatives in; know every street in; go to school in; teach evening classes in; open a small shop in; wake up in; spend the winter in; pitch a tent near; long to see;
        be at home in; hide in; love; hate; miss""",
    # a person towards a company
    "pc": """work for; work at; join; leave; quit; found; co-found; set up; start; run; manage; head; lead; direct; chair; own; buy; sell; take over; inherit; invest in; sue; audit; advise;
    consult for; freelance for;
        intern at; train at; apply to; retire from; resign from; write for; speak for; represent; sign with; report to; trust; complain to; write to; criticise; praise; boycott; defend;
        oversee; supervise; expand;
        close; shut down; rescue; save; modernise; rebuild; restructure; turn ~ around; steer; build up; control; back; finance; fund; sponsor; promote; negotiate with; team up with;
        cooperate with; part ways with;
        fall out with; break with; cut ties with; stay with; return to; go back to; switch to; transfer to; defect to; owe money to; borrow money from; win a case against; testify against;
        do the books for;
        answer the phones at; have a job at; get a job at; land a job at; find work at; take a position at; start a new job at; be employed by; be employed at; be hired by;
        be under contract to; be on the board of;
        be in charge of; be at the head of; be behind; hold shares in; own half of; have a stake in; buy into; walk out on; keep the books at; sweep the floors at; earn a living at;
        make a career at; spend a whole career at;
        serve as head of; act for; bargain with; do business with; sign a contract with; do odd jobs for; stop working for; lose a job at; step down from; step up at;
        rise through the ranks at; take a break from""",
    # a company towards a person
    "cp": """employ; hire; take on; recruit; engage; sign up; appoint; promote; sack; fire; dismiss; lay off; let ~ go; make ~ redundant; pay; reward; praise; thank; sue; train; retrain;
    interview; turn down; reject;
        poach; headhunt; lure ~ away; woo; court; bring in; bring ~ back; rehire; reinstate; suspend; relocate; underpay; owe money to; rely on; count on; belong to; depend on; contact;
        write to; get in touch with;
        honour; insure; invite; approach; consult; select; pick; keep ~ on; hang on to; part with; warn; back; sponsor; support; commission; bill; invoice; reimburse; compensate; chase;
        give a job to; offer a contract to;
        offer a post to; find a place for; send a letter to; be founded by; be run by; be owned by; be led by; be managed by; be sold to; be bought by; be taken over by; be headed by;
        be in the hands of;
        be named after; be represented by; be sued by; be advised by; pay a pension to; put trust in; get an order from; show ~ the door; welcome; scold; forgive; let ~ down; hold ~ back;
        send ~ abroad""",
    "ci": """make; produce; manufacture; sell; ship; deliver; export; import; launch; release; recall; discontinue; withdraw; patent; test; develop; design; announce; unveil; introduce;
    promote; advertise; supply;
        stock; order; assemble; bring out; roll out; put ~ on the market; take ~ off the market; phase out; redesign; improve; license; lease; rent out; repair; donate; auction off; store;
        distribute; market; offer;
        buy back; demonstrate; display; invent; present; copy; replace; insure; pack; post; sell off; give away; lend out; transport; mislabel; inspect; throw in; turn out; throw out;
        refund; lose""",
    "ap": """feed; walk; groom; adopt; rescue; train; stroke; brush; bathe; tame; chase; photograph; spot; see; hear; follow; find; free; release; look after; take ~ in; care for;
    play with; run after; draw; carry; hug;
        catch; sell; buy; lose; keep; raise; spoil; pamper; cuddle; sketch; wash; weigh; wake; calm; teach ~ tricks; shelter; nurse ~ back to health; take ~ for a walk; give a home to;
        give water to; sing to; talk to""",
    "pa": """bite; chase; follow; scare; wake; greet; sniff at; lick; startle; trust; love; obey; ignore; attack; scratch; sit next to; sleep beside; run away from; belong to; escape from;
    hide from; wait for;
        stare at; snuggle up to; rub against; recognise; miss; protect; run up to; keep ~ company; jump on; listen to; steal food from; live with; stay with; knock ~ over;
        cost ~ a lot of sleep; play with; keep ~ awake""",
    "ai": """chew; knock over; drag away; bury; break; steal; sit on; sleep on; hide behind; jump over; scratch; ruin; sniff at; run off with; jump onto; crawl under; tear up; guard;
    gnaw at; lick; step on; push ~ off the table;
        crash into; swallow part of; refuse to leave; find; be afraid of; run around; damage; dirty""",
    "begin": """begin; start; kick off; open; commence; get going; get under way; take place; be held; be due; be planned; end; finish; close; wind up; conclude; be over; happen; be on; wrap up;
        go ahead""",
    "evp": """organise; host; plan; attend; miss; arrange; cancel; postpone; prepare; open; close; announce; photograph; enjoy; leave; join; lead; run; interrupt; spoil; set up; call off;
    put off; move; chair; visit; film;
        finance; help with; sing at; speak at; cook for; dress up for; be late for; look forward to; take part in; turn up at; dance at; fall asleep at; be invited to; forget about;
        hand out flyers for; take notes at; show up at""",
    "book": """read; write; translate; publish; borrow; finish; edit; review; illustrate; proofread; reread; recommend; study; start; skim; devour; print; type up; give up on; get through;
    leaf through; summarise; record; read out;
        plough through; struggle through; quote from; talk about; love""",
}
IRREGULAR = """be was been;oversee oversaw overseen;proofread proofread proofread;wind wound wound;begin began begun;bend bent bent;bequeath bequeathed bequeathed;bid bid bid;bite bit
        bitten;break broke broken;bring brought brought;build built built;burn burned
    burned;buy bought bought;
    catch caught caught;choose chose chosen;come came come;cost cost cost;cut cut cut;dig dug dug;do did done;draw drew drawn;drive drove driven;eat ate eaten;fall fell fallen;feed fed fed;feel
    felt felt;
    fight fought fought;find found found;flee fled fled;fling flung flung;fly flew flown;forget forgot forgotten;forgive forgave forgiven;free freed freed;get got got;give gave given;go went
    gone;grow grew grown;
    hang hung hung;have had had;hear heard heard;hide hid hidden;hit hit hit;hold held held;keep kept kept;know knew known;lay laid laid;lead led led;leave left left;lend lent lent;let let
    let;lose lost lost;make made made;
    mislay mislaid mislaid;put put put;quit quit quit;read read read;rebuild rebuilt rebuilt;reread reread reread;ride rode ridden;rise rose risen;run ran run;see saw seen;sell sold sold;resell
    resold resold;send sent sent;
    set set set;sew sewed sewn;shake shook shaken;show showed shown;shut shut shut;sing sang sung;sit sat sat;sleep slept slept;speak spoke spoken;spend spent spent;stand stood stood;steal stole
    stolen;swear swore sworn;
    sweep swept swept;swim swam swum;take took taken;teach taught taught;tear tore torn;throw threw thrown;wake woke woken;wear wore worn;win won won;withdraw withdrew withdrawn;write wrote
    written;pay paid paid;
    underpay underpaid underpaid;put put put;dye dyed dyed"""
DOUBLED = set("""drop drag wrap unwrap swap scrap grab scrub ship snap flog tag strap spot hit flip tip dig put get run set win sit let shut begin forget cut swim transfer travel label hug plan
    stop bid skim knit trip
    quit jog step rub shop slip trek control cancel mislabel""".split())
STATIVE = set("be want need possess covet crave remember own know love hate trust owe belong depend have long cost value treasure cherish care recognise".split())
ADVERBS = """finally apparently probably certainly gladly quietly eventually actually simply reportedly supposedly proudly secretly reluctantly calmly cheerfully suddenly briefly hastily kindly
    unwillingly patiently""".split()

# tense, pattern (V plain, S third person, D past, P participle, G -ing form), good for stative verbs
TENSES = [
    *[("past", "D", True)] * 16, *[("pres", "S", True)] * 6, *[("perf", "has P", True)] * 4, *[("fut", "will V", True)] * 3, *[("pres", "is G", False)] * 2, *[("past", "had P", True)] * 2,
    ("past", "was G", False), ("past", "had to V", False), ("past", "managed to V", False), ("past", "decided to V", False), ("past", "wanted to V", False), ("past", "tried to V", False),
    ("past", "chose to V", False), ("past", "refused to V", False), ("past", "was able to V", False), ("past", "ended up G", False), ("past", "was about to V", False), ("past", "offered to V", False),
    ("past", "is said to have P", True), ("past", "may have P", True), ("past", "must have P", True), ("past", "seems to have P", True), ("past", "claims to have P", True), ("past",
    "did not V", True),
    ("past", "could not V", False), ("past", "happened to V", True), ("past", "was allowed to V", False), ("past", "did indeed V", True), ("past", "is thought to have P", True), ("past",
    "was told to V", False),
    ("past", "was supposed to V", False), ("past", "began to V", False), ("past", "was caught G", False), ("past", "admitted G", False), ("past", "might have P", True), ("past",
    "was hoping to V", False),
    ("past", "should have P", True), ("past", "never D", True), ("past", "helped V", False),
    ("pres", "keeps G", False), ("pres", "wants to V", False), ("pres", "has to V", False), ("pres", "likes G", False), ("pres", "always S", True), ("pres", "never S", True), ("pres",
    "does not V", True),
    ("pres", "can V", False), ("pres", "still S", True), ("pres", "no longer S", True), ("pres", "often S", True),
    ("fut", "is going to V", False), ("fut", "is about to V", False), ("fut", "plans to V", False), ("fut", "promised to V", False), ("fut", "intends to V", False), ("fut", "is supposed to V", False),
    ("fut", "might V", True), ("fut", "may V", True), ("fut", "should V", False), ("fut", "agreed to V", False), ("fut", "has agreed to V", False), ("fut", "hopes to V", False), ("fut",
    "would like to V", False),
    ("fut", "is expected to V", True), ("fut", "is likely to V", True), ("fut", "means to V", False), ("fut", "will have to V", False), ("fut", "will never V", True), ("fut",
    "is willing to V", False),
    ("perf", "has just P", True), ("perf", "has already P", True), ("perf", "has never P", True), ("perf", "has not yet P", True), ("perf", "has been G", False), ("perf", "has finally P", True),
    ("perf", "has always P", True),
]

MACROS = {
    "money": "[<price> euros|<price> euros|<price> dollars|<price> dollars|<price> pounds|<price> francs|<price> crowns|<price> pesos|<price> rupees|$<price>|€<price>|EUR <price>|<price> euro]",
    "sg": "[a|a|the|the|the|this|that|another|some kind of] [||||<colour> ]<item>",
    "the": "the [||||<colour> ]<item>",
    "pl": """[||||exactly |about |some |over |nearly |at least |no fewer than |a total of |all ][<quantity> [||||<colour> ]<item>|<quantity> [||||<colour> ]<item>|a set of <quantity> <item>|a box
        of <quantity> <item>]""",
    "qi": "[||||||exactly |about |nearly |at least |a total of ]<quantity> [|||||<colour> ]<item>",
    "np": "[{sg}|{sg}|{sg}|{qi}]",
    "book": "[<title>|<title>|the book <title>|the novel <title>|a book called <title>|the volume <title>|a story called <title>]",
    "pet": "[<pet> the <animal>|the <animal> <pet>|a <animal> called <pet>|a <animal> named <pet>|a <animal> by the name of <pet>|a <animal> that answers to <pet>]",
    "animal": "[a <animal>|the <animal>|another <animal>]",
    "age": "[aged <age>|at the age of <age>|when only <age> years old|at <age> years of age]",
    "how": """[by mistake|on a whim|without a word|with great care|in a hurry|for fun|out of curiosity|just in case|at the last minute|in the rain|before lunch|by accident|on the way home|without
        asking|for a good cause|after all]""",
}

# (weight, tense unless a .T macro decides, may adjuncts follow, extensions allowed, templates); {lexicon.FORM object} is an inflected verb
STATEMENTS = [
    (16, "past", True, "job age company city day year time", """
        <name> {act.T {np}} ## <name> {act.T {np}} ## <name> {act.T {np}} {how} ## <name> {prep.T {np}} ## <name> {prep.T {np}} {how} ##
        <name> [first |]{act.D} and [then|later] {act.D the <item>} ##
        <name> [reportedly |]{act.D the <item>} [instead of|before|after|without|rather than] {act.G it} ## it was <name> who {act.D {np}} ## {how}, <name> {act.D {np}} ##
        <name> was the one who {act.D {np}} ##
        to everyone's surprise, <name> {act.T {np}} ## not only did <name> {act.V {the}}, it was also {act.P} [in full view of everybody|with no help at all] ##
        <name> went [out|home|back|outside|to the cellar|to the market] to {act.V {np}} ## <name> [stopped|stayed behind|came back|got up early|stayed up late] to {act.V {np}} ##
        <name> had {the} {act.P} ## <name> wants {the} {act.P} ## <name> got {np} {act.P} ## <name> was busy {act.G {np}} ## <name> spent the whole morning {act.G {np}} ##
        <name> had trouble {act.G {np}} ##
        <name> could be seen {act.G {np}} ## <name> was too tired to {act.V {np}} ## <name> [helped us|helped|asked us|begged us|told us|forced us|taught us how] to {act.V {np}} ##
        we [watched|saw|heard] <name> {act.V {np}} ##
        <name> made us {act.V {np}} ## we let <name> {act.V {np}} ## somebody saw <name> {act.G {np}} ## nobody but <name> {act.D {np}} ## {act.G {np}} was <name>'s idea ##
        {act.G {np}} made <name> famous"""),
    (8, "past", True, "job age company city day year", """
        {the} [was|got|had been|was being|was finally|was never|may have been|is said to have been] {act.P} by <name> ## {qi} [were|had been|were being|were finally] {act.P} by <name> ##
        [|clearly ]{act.P} by <name>, {the} {now} ## {the} {now} after being {act.P} by <name> ## {the} {act.P} by <name> {now} ## {the} that <name> {act.D} {now} ##
        {the} <name> {act.D} {now} ## {the}, which <name> {act.D}, {now} ##
        {the} <name> had {act.P} {now} ## {the} used to be {act.P} by <name> ## {the} had to be {act.P} by <name> ## {the} was lucky to be {act.P} by <name> ##
        {the} was a [present|gift|keepsake|loan] from <name>"""),
    (5, "fut", True, "job age company city day", """
        {the} [will be|is to be|is going to be|can be|must be|should be|has to be|needs to be|is about to be|is waiting to be|is supposed to be] {act.P} by <name> ##
        {qi} [will be|are to be|are going to be|must be|can be|have to be] {act.P} by <name> ##
        <name> [must|has orders to|is only too happy to|has no wish to|is afraid to|is in no hurry to|can hardly wait to|has been asked to|was invited to|is free to|is dying to|is keen to] {act.V
        {np}} ##
        it is [up to|the task of|the duty of|the turn of|the privilege of] <name> to {act.V {np}} ## we expect <name> to {act.V {np}} ## we need <name> to {act.V {np}} ##
        we are waiting for <name> to {act.V {np}}"""),
    (5, "mixed", False, "job age company city", """
        the [person|man or woman|lucky person] who {act.D {np}} [is|was] [called |]<name> ## what <name> {act.D} was {np} ## {the} was what <name> {act.D} ##
        all that <name> {act.D} was {sg} ##
        the <item> that <name> {prep.D} {now} ## there is [a <item>|a <colour> <item>] which <name> {act.D} ## there was {sg}, and <name> {act.D it} ## the thing <name> {prep.D} was {sg} ##
        if anyone {act.D the <item>}, it was <name> ##
        if <name> does not {act.V the <item>}, nobody will ## as soon as <name> {act.D the <item>}, {tail} ## when <name> {act.D {np}}, {tail} ## while <name> was {act.G {np}}, {tail} ##
        because <name> {act.D {np}}, {tail} ##
        having {act.P {np}}, <name> [left|went home|fell asleep|felt better|was satisfied|sat down] ## after {act.G {np}}, <name> [left|went home|fell asleep|felt much better|sat down] ##
        before {act.G {np}}, <name> [thought twice|asked us|took a nap|sighed] ##
        without <name>, {the} would never have been {act.P} ## thanks to <name>, {the} has been {act.P} ## the <item> was gone: <name> had {act.P it}"""),
    (5, "past", True, "city day year", """
        we {act.D {np}} ## I {act.D {np}} ## they {prep.D {np}} ## {the} was {act.P} ## {qi} were {act.P} ## somebody {act.D {np}} ## nobody {act.D {np}} ## there was {sg} to be {act.P} ##
        {the} got {act.P} {how} ## our group {act.D {np}} ##
        the [people|family|couple|crowd] [next door|upstairs|down the road] {act.D {np}} ## a <job> {act.D {np}} ## the <job> {act.T {np}} ## {the} was {act.P} by a <job> ##
        {qi} were {trade.P} ## they {trade.D {np}} for {money} ## we {trade.D {np}} for {money}"""),
    (9, "past", True, "job age city day year company", """
        <name> {trade.T {np}} [for|at] {money} ## <name> {trade.D {np}} [for|at] {money} ## for {money}, <name> {trade.D {np}} ##
        <name> [paid|spent|put down|shelled out|coughed up|forked out|laid out|counted out|handed over|offered|bid|wasted|invested|risked|saved up|raised] {money} for {np} ##
        <name> [asked|charged|wanted|demanded|received|got|took|made|earned|collected|pocketed|expected] {money} for {np} ## {the} [cost|set|set back] <name> {money} ##
        {the} brought <name> {money} ## {qi} cost <name> {money} ## {qi} earned <name> {money} ##
        {the} was {trade.P} by <name> for {money} ## {qi} were {trade.P} by <name> for {money} ##
        <name> [got|snapped up|picked up|scored] {np} for [only|just|a mere|a cool|no more than] {money} ## <name> spent {money} on {np} ##
        <name> [knocked|took|got] {money} off the price of {sg} ## <name> parted with {the} for {money} ## <name> would not {trade.V {np}} for less than {money} ##
        <name> valued {np} at {money} ## with {money} in hand, <name> went to {trade.V {np}} ##
        <name> [owes|owed] us {money} for {np} ## we [owe|paid|gave|sent|offered|promised] <name> {money} for {np} ## the bill for {np} came to {money}, and <name> paid it ##
        <name> traded {np} for {money} ## <name> gave {money} and got {np} in return"""),
    (8, "mixed", False, "city company", """
        {the} [costs|sells for|goes for|is priced at|is listed at|comes to|is worth|was valued at|was marked down to|went up to|fetched|brought in|changed hands for|is yours for|is on sale
        for|retails at|used to cost|will cost|would cost|is going for|has been reduced to|can be had for|sold for] {money} ##
        {qi} [cost|sell for|go for|are priced at|come to|are worth|were valued at|fetched|brought in|changed hands for|are yours for|are on sale for|will cost|would cost|can be had for|sold
        for|add up to] {money} ##
        the price of {the} [is|was|rose to|fell to|has dropped to|has been set at|will be|stands at|went down to] {money} ##
        [you can get|they sell|they offer|people buy|they let you have] {np} for {money} ##
        {money} [is|was] [all they want|the price asked|a fair price|not too much|what they charge|what we paid|far too much] for {np} ##
        {money} [buys|will get|gets] you {np} ## for {money}, you get {np} ## for just {money} {the} is yours ## at {money}, {the} is a [bargain|steal|rip-off|luxury] ##
        {the} is [cheap|expensive|not cheap|overpriced] at {money} ## we paid {money} for {np} ##
        {qi} at {money} [a piece|apiece|each] [are|were] on offer ## there are {qi} on sale, {money} apiece ## a price tag of {money} hung from {the} ## they want {money} for {np} ##
        if you have {money}, you can have {np} ##
        {qi}, [all for|together|at a total of|yours for] {money}, {pnow} ## {the}, [for which we paid|bought for|sold for|priced at|worth] {money}, {now}"""),
    (6, "mixed", False, "city day", """
        there [are|were] {qi} in [stock|the shed|the box|the cellar|the shop window|the storeroom|the back] ##
        {qi} are [left|missing|for sale|needed|on order|broken|still to come|on the way] ## we [have|need|ordered|counted|sold|received|packed|are short of|ran out of] {qi} ##
        of the <item>, <quantity> [were|are] [broken|missing|sold|still good|lost|left|damaged] ## the number of <item> is <quantity> ##
        the <item>, <quantity> [in all|in number|altogether|of them], {pnow} ## <name> [has|needs|keeps|ordered|counted|brought|made|asked for] {qi} ##
        as many as <quantity> <item> were {act.P} by <name> ## <name> {act.D} <item>, <quantity> [in all|of them|pieces in total] ## <name> took <quantity> of the <item> ##
        of the <item> in the [shed|box|shop], <name> {act.D} <quantity> ## <quantity> pieces: so many <item> did <name> {act.V} ##
        half of the <quantity> <item> {pnow} ## each of the <quantity> <item> [is|was] [painted |]<colour> ## all <quantity> <item> belong to <name> ## <name> had <quantity> <item> left over"""),
    (7, "mixed", False, "age city company", """
        {the} [belongs|belonged|has belonged|once belonged|used to belong] to <name> ##
        the [owner|proud owner|rightful owner|new owner|maker|inventor|finder|buyer|seller] of {the} is [called |]<name> ## {the} is <name>'s ##
        {the} in the [hall|cellar|yard|kitchen|attic] is <name>'s ##
        {the} is the property of <name> ## <name> is the [owner|proud owner|inventor|maker|keeper|heir] of {sg} ## {sg} like that can only be <name>'s ##
        <name> [has|owns|has got|possesses|treasures|is proud of|is known for|cannot live without|is attached to|swears by|never travels without] {np} ##
        {the} [went|passed|was left|came down|fell] to <name> ## <name>'s [favourite thing|pride and joy|dearest possession|only luxury|latest find|lucky charm] is {sg} ##
        we found <name>'s <item> in the [attic|garden|park|river|car] ## this <item> was made for <name> ##
        among <name>'s things [was|there was|we found] {sg} ## <name>'s <item> {now} ## whoever finds {the} should give it to <name> ##
        <name>, whose <item> {now}, [is furious|laughed it off|stayed calm|did not mind] ## {the} that {now} is <name>'s ##
        it is <name> that {the} belongs to ## {the} bears the name of <name> ## the label on {the} says <name>"""),
    (7, "past", True, "city day year age job", """
        <name> [painted|dyed|sprayed|coloured|tinted|repainted|lacquered|glazed] [the|the|this|that] <item> <colour> ##
        <name> had [the|the|this|that] <item> [painted|dyed|sprayed|redone in|done in|lacquered|repainted] <colour> ##
        [the|the|this|that] <item> was [painted|dyed|sprayed|coloured|tinted|redone in|repainted] <colour> by <name> ##
        <name> [chose|picked|wanted|preferred|ordered|asked for|tried|suggested|settled on|went for|insisted on] <colour> for [the|the|this|that] <item> ##
        <name> gave [the|the|this|that] <item> a [coat|layer|touch|splash|fresh coat] of <colour> ## <name> bought [the|the|this|that] <item> in <colour> ##
        <name> got the <colour> <item> instead of the others ##
        under <name>'s brush [the|the|this|that] <item> turned <colour> ## <name> covered [the|the|this|that] <item> in <colour> [paint|cloth|paper|foil|felt] ##
        <name> wrapped a <item> in <colour> paper ## <name>, [dressed in|wearing|all in] <colour>, {act.D the <item>} ## <name> {trade.D the <item>} because it was <colour> ##
        <name> likes <colour>, so [the|the|this|that] <item> had to be that colour"""),
    (5, "mixed", False, "city", """
        [the|the|this|that] <item> [is|was|looks|looked|turned|went|came out|will be|has become|used to be|is mostly|is supposed to be|has to be|had once been|stayed|glows|shone|is painted|was
        dyed|is a bright|is a dull|seemed] <colour> ##
        the colour of [the|the|this|that] <item> is <colour> ## <colour> is the colour of [the|the|this|that] <item> ## [the|the|this|that] <item> comes in <colour> ##
        [the|the|this|that] <item> is [made|available|sold|offered] in <colour> ## a <item> [in|in bright|in pale|in deep] <colour> {now} ##
        [the|the|this|that] <item>, [painted|dyed|coloured|which is] <colour>, {now} ##
        [the|the|this|that] <item> was a shade of <colour> ## they make [the|the|this|that] <item> in <colour> ##
        in <colour>, [the|the|this|that] <item> looks [better|awful|elegant|silly|bigger] ## [the|the|this|that] <item> has a <colour> [handle|lid|stripe|edge|lining|back|tip] ##
        the paint on [the|the|this|that] <item> is <colour> ## we want [the|the|this|that] <item> in <colour>, please ##
        from a distance [the|the|this|that] <item> looks <colour> ## nothing is as <colour> as [the|the|this|that] <item> ## the <colour> <item> belongs to <name> ##
        the <colour> one is <name>'s <item> ## <name>'s <item> is <colour>"""),
    (14, "past", True, "age city year day", """
        <name> {pc.T <company>} ## <name> {pc.T <company>} ## <name> {pc.T <company>} ## <name> {pc.T <company>} as a <job> ##
        <name> {pc.T <company>} [for a while|for many years|against all advice|without regret|straight after school|during the crisis] ##
        <company> {cp.T <name>} ## <company> {cp.T <name>} ## <company> {cp.T <name>} ##
        <company> [hired|employed|took on|engaged|recruited|needed|sought|wanted|trained|brought in|is employing|has appointed|will take on] <name> as a <job> ##
        <name> was [hired|employed|taken on|engaged|recruited|trained|brought in|sacked|fired|dismissed|laid off|let go|promoted|poached|headhunted|interviewed|rejected|turned
        down|appointed|sued|praised|paid off|thanked|overlooked|dropped|bought out] by <company> ##
        <company> was [founded|started|set up|run|led|owned|bought|sold|taken over|inherited|managed|built up|saved|ruined|sued|directed|chaired|advised|headed|created|launched|rescued|closed
        down|brought back to life] by <name> ##
        <company>, [founded|run|owned|led|managed|headed|set up|backed|inherited] by <name>, {conow} ##
        <name>, [founder|owner|head|manager|director|chair] of <company>, [retired|resigned|spoke|was honoured|is ill|is optimistic|gave a talk] ##
        it was <name> who {pc.D <company>} ## it was <company> that {cp.D <name>} ## the <job> <name> {pc.T <company>} ## <company> made <name> its <job> ##
        <company> lost its <job>, <name> ## at <company>, <name> [is|was|became] a <job> ## at <company>, <name> worked as a <job>"""),
    (7, "mixed", False, "city age", """
        <name> is [the owner|the founder|the boss|the head|the new head|part owner|a client|a customer|a partner|an employee|on the staff|on the payroll|the director|the face|a former head|the
        chair|the brains] of <company> ##
        <name> is [with|at|from|employed at|still with|no longer with|back at|on leave from|now at|under contract to|in charge at|on trial at|in training at] <company> ##
        <name>'s [employer|boss|company|firm|former employer|new employer|first employer|paymaster|biggest client] is <company> ##
        <company> is <name>'s [employer|firm|company|old employer|life's work|landlord] ##
        <company> [is owned by|is run by|belongs to|is led by|is in the hands of|is under the control of|was the idea of|owes everything to|has as its head|has in its service|has on its staff|is
        chaired by|would be nothing without|stands and falls with|is looking for] <name> ##
        the [owner|founder|boss|head|new head|director|chair|largest shareholder] of <company> is [called |]<name> ## at the head of <company> [stands|is|sits] <name> ##
        the name of the [owner|founder|boss|new recruit] at <company> is <name> ## the <job> at <company> is [called |]<name> ##
        working [at|for] <company> [suits|pleases|bores|tires|annoys] <name> ## <name> earns a living at <company> ## <name>'s job at <company> is that of a <job> ##
        as a <job>, <name> [works|has worked|used to work|slaved away|toils] [for|at] <company> ## <name> gets a monthly wage from <company> ##
        <name> [draws a salary|gets paid|receives a pension|takes orders] from <company> ## <name> has a [desk|contract|badge|locker|pension] at <company> ##
        <name> and <company> [have split up|are partners|signed a deal|went separate ways|are in court|belong together|have made up] ##
        a <job> from <company> called on <name> ## between <name> and <company> [there is a dispute|all is well|things turned sour] ##
        for <company>, <name> [is a stroke of luck|is a disaster|would do anything|gave up everything|works day and night] ## without <name>, <company> would [fail|close|not exist] ##
        anyone who works for <company> knows <name> ## the <job> that <company> [hired|needs|trusts most|let go] is <name> ## on paper, <company> belongs to <name> ##
        <name> stands for <company> like nobody else"""),
    (8, "past", True, "city day year", """
        <name> {to.T {np}} to <company> ## <name> {from.T {np}} from <company> ## <company> {to.T {np}} to <name> ## <company> {from.T {np}} from <name> ##
        {the} was {from.P} by <name> from <company> ## {the} was {to.P} to <company> by <name> ## {the} was {to.P} to <name> by <company> ##
        <company> [gave|sold|sent|lent|promised|offered|owes|refused|mailed|rented|built] <name> {np} ## from <company>, <name> {from.D {np}} ## to <company>, <name> {to.D {np}} ##
        <name> {act.D} the <item> that <company> {ci.D} ## <name> {act.D {np}} for <company> ##
        <name> [paid|owes|gave|sent|offered|transferred] <company> {money} for {np} ## <company> [paid|owes|gave|offered|charged|billed|sent] <name> {money} for {np} ##
        <name> {from.D {np}} from <company> for {money} ## <name> {to.D {np}} to <company> for {money} ##
        with a <item> from <company>, <name> {act.D} the whole place ## {the} that <name> {from.D} came from <company> ##
        <name>'s <item> [was made by|comes from|is from|was delivered by|was stolen from|was repaired by] <company>"""),
    (8, "past", True, "city day year", """
        <company> {ci.T {np}} ## <company> {ci.T {np}} ## {the} was {ci.P} by <company> ## {qi} were {ci.P} by <company> ## {the} {ci.P} by <company> {now} ##
        it was <company> that {ci.D {np}} ## <company> {ci.D {np}} and {ci.D it} ## at <company>, {the} was {ci.P} ##
        <company> [asks|charges|wants|paid|got|spent|offers|demands|takes] {money} for {np} ## <company> {trade.D {np}} for {money} ## {np} from <company> [will cost|cost] us {money} ##
        we {from.D {np}} from <company> ## we {from.D {np}} from <company> for {money} ##
        <company> [opened|closed|sold|moved|built|bought|rented|renovated|searched|insured|vacated] its [office|factory|warehouse|shop|headquarters|plant|branch] in <city> ##
        <company> [opened|closed|was founded|was set up|started|settled|has been based|failed|went bankrupt|went public|merged|found new rooms|moved its head office to a new tower] in <city> ##
        <company> [comes from|left|is based in|set up shop in|spread from|employs half of|has withdrawn from|expanded to|pulled out of|grew up in] <city> ##
        {act.G {np}} is what <company> does best ## <company> [doubled|halved|stopped|began] the production of the <item> ## in <city>, <company> {ci.D {np}} ##
        the <item> [of|from|by] <company> {now} ## <company>, [based|located|founded|registered] in <city>, {ci.T {np}} ## the <city> [firm|company|maker] <company> {ci.T {np}}"""),
    (8, "past", True, "age job year day time company", """
        <name> {go.T [<city>|<destination>]} ## <name> {go.T <destination>} from <city> ## from <city>, <name> {go.D <destination>} ## <name> {leave.D <city>} and {go.D <destination>} ##
        <name> {leave.T <city>} ## <name> {at.T <city>} ## <name> {at.T <city>} ##
        <name> {go.D <destination>}, leaving <city> behind ## <name> [left|swapped|traded|gave up|abandoned|exchanged|deserted|forgot] <city> for <destination> ##
        <name> [came|travelled|drove|flew|moved|walked|sailed|cycled|was taken|went on foot] [all the way |straight |]from <city> to <destination> ##
        <name> [came|travelled|drove|flew|moved|walked|sailed|was brought] to <destination> [all the way |straight |directly |]from <city> ##
        <name> started in <city> and [finished|ended up|arrived|landed] in <destination> ## <name> was on the way from <city> to <destination> ##
        <name> took the [train|bus|plane|night train|boat] from <city> to <destination> ## the [train|bus|plane|boat|road|journey|trip] took <name> from <city> to <destination> ##
        <name> wanted to get out of <city> and into <destination> ## <name> [set off|started] for <destination>, [coming from|leaving] <city> ##
        <name> did not stay in <city> but {go.D <destination>} ## <name> made the [trip|journey|move] to <destination> from <city> ## before {go.G <destination>}, <name> {at.D <city>} ##
        <name>, [born|raised|brought up] in <city>, {go.D <destination>} ##
        we [drove|took|sent|accompanied|brought|escorted|flew|followed] <name> from <city> to <destination> ## we [met|saw|visited|picked up|spotted|lost sight of|found] <name> in <city>"""),
    (6, "past", True, "day year", """
        the [trip|journey|drive|flight|ride|crossing|tour|train ride|bus ride|hike|voyage] from <city> to <destination> [took|lasted|will take|takes|has taken|is supposed to take|dragged on for]
        [us |]<hours> hours ##
        <name> [needed|took|drove|flew|walked|travelled|sat on the train for|was on the road for|rode|cycled] <hours> hours from <city> to <destination> ##
        it took <name> <hours> hours to get from <city> to <destination> ## it is <hours> hours from <city> to <destination> ##
        <name> reached <destination> <hours> hours after leaving <city> ##
        after <hours> hours [on the road|on the train|at sea|in the car|of walking], <name> [arrived in|reached|got to|came to] <city> ##
        <destination> is <hours> hours [away |by car |by train |]from <city> ##
        the [ticket|flight|train ride|trip|taxi|ferry|fare] from <city> to <destination> [costs|cost|will cost|comes to|is] {money} ##
        <name> paid {money} [to get|to travel|for the ride|for the trip|for the flight] from <city> to <destination> ## <name> got from <city> to <destination> for {money} ##
        the [train|bus|plane|ferry|boat|flight|coach] from <city> to <destination> [leaves|departs|goes|sets off|starts|left|departed|pulls out] at <time> ##
        the <time> [train|bus|flight|ferry] [goes|leaves|runs] from <city> to <destination> ## the [train|bus|plane|ferry] to <destination> leaves <city> at <time> ##
        with <quantity> <item> in the back, <name> drove from <city> to <destination> ##
        <name> [took|carried|drove|brought|shipped|smuggled|sent|hauled] {np} from <city> to <destination> ##
        {the} [went|was sent|was shipped|was taken|travelled|was moved] from <city> to <destination> ##
        <company> [moved|relocated|shifted its offices|ships goods|runs buses|is moving|has moved|delivers|sent <quantity> <item>|sent a <item>] from <city> to <destination> ##
        <name> waited <hours> hours in <city> [for the connection|for the next train|in vain|for the ferry]"""),
    (8, "mixed", False, "city", """
        {the} in <city> was {act.P} by <name> ## <name> [is|was] <age>[| years old| years of age] ##
        <name> [turned|turns|will turn|has turned|will soon be|has just become|is going on|is nearly|is all of|is already|recently became|must be|claims to be|looks|is said to be|is about to
        turn|was not yet|is only] <age>[| years old] ##
        <name> [reached|died at|retired at|married at|emigrated at|started school at|learnt to drive at|lived to|became famous at|passed away at|left home at|learnt to read at] the age of <age> ##
        at the age of <age>, <name> {act.D {np}} ## at <age>, <name> {act.D {np}} ## {age}, <name> {go.D <city>} ##
        at <age>, <name> {pc.D <company>} ## <name> was <age> at the time ## <name> was <age> years old when {tail} ## the age of <name> is <age> ## <name>'s age is <age> ##
        <name> has been alive for <age> years ## <age> years ago <name> was born ##
        <name> was born <age> years ago ## <name> is a <age>-year-old <job> ## the <age>-year-old <job> is called <name> ## the <age>-year-old <name> {act.T {np}} ##
        <age>-year-old <name> {pc.T <company>} ## <age>-year-old <name> {at.T <city>} ## there are <age> candles on <name>'s cake ##
        <name> celebrated [the age of <age>|turning <age>|being <age>] ## with <age> years [on the clock|behind the belt|of life], <name> {act.D {np}} ##
        though only <age>, <name> {act.D {np}} ## despite being <age> years old, <name> {act.T {np}} ## <name> may be <age>, but [looks younger|runs like the wind|has a young heart|sleeps badly] ##
        people guess that <name> is <age> ## no one would think that <name> is <age> years old ## a <job> of <age> years, <name> {act.T {np}} ##
        by the age of <age>, <name> had {act.P {np}} ## not until the age of <age> did <name> {act.V {np}} ## <name> put down <age> as age and <job> as job ##
        <name> gave <age> as age and <city> as home ## <name>, a <job>, will be <age> [in spring|in autumn|soon|before long] ## <name> got {sg} for turning <age>"""),
    (9, "past", True, "city year age", """
        <name> [is|was|became|used to be|wants to be|will be|is training to be|trained as|works as|worked as|is employed as|found work as|earns money as|started out as|tried to be|has been|retired
        as|made a name as|was trained as|went to work as|got hired as|dreams of being|is on the way to becoming|never was] a <job> ##
        <name> [makes a living|has a job|is paid|is well known|is registered|was famous|was underpaid|spent a whole life|did service] as a <job> ##
        <name>'s [job|trade|profession|calling|occupation|dream job] is <job> ## as a <job>, <name> [is unbeatable|has little free time|earns enough|travels a lot|gets up early|knew what to do] ##
        <name> works in <city> as a <job> ## <name> went to <city> to [become|work as|train as] a <job> ## in <city>, <name> [is known as|is|works as|became|was the only] a <job> ##
        a <job> [called|named|by the name of] <name> {at.T <city>} ## a <job> called <name> {act.T {np}} ## the <job>, <name>, {act.T {np}} ##
        the <job> in <city> is [called |]<name> ## the <job> we [met|hired|called|trust|know|were told about] is [called |]<name> ## <name> quit being a <job> ##
        <name> gave up [work|the job] as a <job> to {act.V {np}} ## nobody in <city> is a better <job> than <name> ##
        being a <job>, <name> {act.T {np}} ## since <name> is a <job>, {tail} ##
        <name> [did not study|studied|trained for years|left school|moved to <city>|went abroad] to become a <job> ## they call <name> the <job> of <city> ##
        <name> {go.D <city>} and became a <job> ## there is a <job> in <city> by the name of <name> ##
        <name> is by trade a <job> ## by profession <name> is a <job> ## of all people, <name> is now a <job> ## what <name> does for a living is work as a <job> ##
        <city> has a new <job>: <name>"""),
    (8, "mixed", False, "age city", """
        <name> [can be reached|is reachable|is available|is to be found|answers|takes calls|can be called|can be contacted] [at|on|under] <phone> ##
        <name>'s [number|phone number|new number|phone|mobile|office number] is <phone> ## the [number|phone number|mobile number] of <name> is <phone> ##
        you can [reach|call|ring|phone|text|get hold of|contact|get] <name> [on|at] <phone> ##
        <name> [can be reached|reads mail|receives mail|can be written to|can be contacted|takes orders] at <email> ##
        <name>'s [email|address for mail|email address|new email|work email] is <email> ## the email [address |]of <name> is <email> ##
        [letters|mail|messages|questions|complaints|orders|replies] for <name> [go|should go|are to be sent|may be sent] to <email> ##
        <name> [wrote|mails|sent word|answered|replied|sends mail|got in touch] from <email> ## <name> [called|rang|phoned|texted|got in touch|left a message] from <phone> ##
        the number <phone> belongs to <name> ## the address <email> belongs to <name> ## behind <email> is <name> ## if you dial <phone>, <name> [answers|picks up|will answer|will be on the line] ##
        <name> left [a number|a phone number], <phone>, [and|together with] [an email|an address], <email> ## <name> has the number <phone> and the email <email> ##
        <name> changed number and now has <phone> ## <name> gave us <phone> as [a contact|a phone number|the number to call] ## <name> gave us <email> as [a contact|an email|the address to use] ##
        <company> [can be reached|is reachable|takes calls|takes orders] [at|on] <phone> ## <company> [can be reached|answers questions|takes orders|accepts complaints] at <email> ##
        at <company>, <name> [answers the phone|can be reached] on <phone> ## at <company>, <name> can be reached under <email> ##
        the contact at <company> is <name>, <phone> ## the contact for <company> is <name> at <email> ## <name> of <company> [is waiting for calls|can be called|takes calls] on <phone> ##
        <name> of <company> [reads|uses|prefers|answers] <email> ## <name>, [whose number is|phone|reachable at|contact] <phone>, {act.T {np}} ##
        <name>, [whose email is|email|reachable at|contact] <email>, {act.T {np}} ## for {sg}, [call|ring|phone] <name> on <phone> ##
        anyone who has seen {the} should [call|ring|phone|text] <phone> ## anyone who finds {the} should write to <email> ## to order {sg}, [call|ring|dial] <phone>"""),
    (10, "mixed", False, "city", """
        the <event> {begin.T} at <time> ## the <event> {begin.T} on <day> ## the <event> {begin.T} at <time> in room <room> ## the <event> {begin.T} on <day> at <time> ##
        on <day> the <event> {begin.T} at <time> ## at <time> the <event> {begin.T} ##
        the <event> [is|was|will be|has been moved|has been put back|was brought forward|was shifted|got moved] to <time> ##
        the <event> in <city> [starts|ends|begins|opens|is|kicks off] at <time> ##
        the <event> [lasts|lasted|will last|goes on for|went on for|took|takes|dragged on for|is to last|runs for] <hours> hours ##
        after <hours> hours the <event> [ended|was over|came to a close|broke up] ## <hours> hours into the <event>, {tail} ##
        the <event> was attended by <guests> guests ##
        <guests> guests [came to|attended|enjoyed|showed up for|signed up for|left|were invited to|are expected at|danced at|were late for|paid for|will be at|turned up for] the <event> ##
        the <event> [drew|attracted|welcomed|brought together|has|will have|can take|had|is open to|was meant for|expects] <guests> guests ##
        there [were|will be|are] <guests> guests at the <event> ## we [invited|counted|expect|fed|seated|welcomed|had|served] <guests> guests at the <event> ##
        for the <event> in room <room>, <guests> guests have [signed up|registered|booked] ##
        room <room> [is|was|has been|will be] [booked|reserved|set aside|needed|prepared|decorated] for the <event> ##
        the <event> [is|was|will be|takes place|took place|has been moved|moved|will be held|is happening|has to be] in room <room> ##
        the <event> is [not until|due on|planned for|fixed for|set for|scheduled for|down for] <day> ##
        the <event> [has been|was|got|had to be] [moved|postponed|put off|shifted|brought forward] to <day> ##
        between the <event> and the break, <hours> hours went by ## the doors to the <event> [open|close|opened|will open] at <time> ## there is room for <guests> guests at the <event> ##
        the <event> on <day> is for <guests> guests [only|at most] ## there will be a <event> in <city> on <day> ## on <day> at <time> there is a <event> in room <room> ##
        come <day>, the <event> will finally start ## until <time> the <event> [went well|was dull|was calm] ## from <time> on, the <event> [got loud|was fun|is open to all] ##
        the <event> was [cancelled|called off|interrupted|broken up] at <time> ## a <event> is [planned|on the calendar|on the programme] for <day>, <time>"""),
    (8, "past", True, "age job city day time", """
        <name> {evp.T the <event>} ## <name> {evp.T the <event>} in room <room> ## the <event> was {eva.P} by <name> ## <name> {evp.D the <event>} with <guests> guests ##
        <name> [invited|expects|hosted|fed|welcomed|cooked for|greeted|counted|entertained|seated] <guests> guests [at|for] the <event> ##
        <name> [organised|planned|held|gave|threw|hosted|announced|is planning|will give] a <event> for <guests> guests ## <name>'s <event> {begin.T} at <time> ##
        <name>'s <event> {begin.T} on <day> ## <name> spent <hours> hours at the <event> ## <name> {evp.D the <event>} for <hours> hours ## <name> left the <event> after <hours> hours ##
        <name> [booked|reserved|rented|decorated|prepared|opened|locked|cleaned|needs|wants|was looking for] room <room> for the <event> ## <name> met us in room <room> ##
        <name> [is staying|slept|waits|was put up|lives|is waiting|has been|stayed the night|is working] in room <room> ##
        room <room> [is|was|has been] [booked|reserved|kept free|rented] for <name> ##
        the guest in room <room> is <name> ## <name> [came|went|drove|walked|hurried|was driven] to the <event> in <city> ## <company> {evp.T the <event>} ##
        <company> [is giving|gave|held|will hold|plans] a <event> in <city> on <day> ## <company> invited <guests> guests to the <event> ## <name> will represent <company> at the <event> ##
        <name> brought {sg} to the <event> ## at the <event>, <name> {act.D {np}} ## during the <event>, <name> {act.D {np}} ## <name> missed the <event> because of {sg} ##
        before the <event>, <name> {act.D {np}} ## <name> won {sg} at the <event> ## for the <event>, <name> {trade.D {np}} ## after the <event>, <name> {go.D <city>} ##
        the <event> had hardly started when <name> {act.D the <item>} ## <name> spoke at the <event> for <hours> hours ## with <guests> guests in the house, <name> {act.D {np}} ##
        the <event> that <name> {eva.D} {begin.D} at <time>"""),
    (8, "past", True, "day year city", """
        <name> {book.T {book}} ## <name> {book.T {book}}, <pages> pages [of it|in all|of it in total] ## <name> {book.D {book}} in <hours> hours ##
        it took <name> <hours> hours to {book.V {book}} ## <name> [needed|took|spent] <hours> hours [on|for] {book} ## {book} was {bookp.P} by <name> ##
        {book} [has|had|runs to|comes to|is made up of|fills|is] <pages> pages ## {book} was <pages> pages long ## <title>, a book of <pages> pages, was {bookp.P} by <name> ##
        a book of <pages> pages, <title> [took|kept|cost] <name> <hours> hours ## <name> [got through|read|managed|wrote|translated|typed|finished] <pages> pages of {book} in <hours> hours ##
        with its <pages> pages, {book} [is too long|is a quick read|makes a good present|kept <name> busy|tired <name>|fits in no pocket] ##
        the <pages> pages of {book} were {bookp.P} by <name> ## <name> wrote a book of <pages> pages and called it <title> ## <title> is the [name|title] of the book <name> {bookp.D} ##
        <name> read <pages> pages in <hours> hours ## reading <pages> pages takes <name> <hours> hours ## <name> stopped after <pages> pages of {book} ##
        <name> is the [author|editor|publisher] of {book} ## the author of {book} is <name> ## <name>'s [latest|new|only|best] book is called <title> ##
        {book}, {bookp.P} by <name>, [sold well|is out of print|has <pages> pages|costs {money}|was a flop] ## {book} [costs|is sold for|sells for|is on sale for|was bought for] {money} ##
        <name> paid {money} for {book} ## <company> [published|printed|brought out|withdrew|reprinted|sells|distributed|rejected] {book} ## {book} appeared at <company> ##
        {book} came out in <year> ## <company> [published|printed|brought out|reprinted] {book} by <name> ## <name> sold {book} to <company> for {money} ##
        <name> [brought|lent|gave|sent|sold|read] us {book} ## the book on <name>'s desk is <title> ## <name> [printed|copied|photocopied|corrected|tore out|lost] <pages> pages"""),
    (7, "past", True, "day year city", """
        <name> {ap.T {pet}} ## <name> {ap.T {animal}} ## <name> {ap.T <pet>, a <animal>,} ## <name> {ap.T <pet>, [the|this] <animal>,} ## the <animal> {pa.T <name>} ##
        the <animal> <pet> {pa.T <name>} ## <pet> the <animal> {pa.T <name>} ## <pet>, a <animal>, {pa.T <name>} ## <pet>, <name>'s <animal>, {ai.T the <item>} ##
        <name>'s <animal> {ai.T the <item>} ## <name>'s <animal> <pet> {ai.T the <item>} ## the <animal> {ai.T the <item>} ## the <item> was {aip.P} by <name>'s <animal> ##
        the <item> was {aip.P} by the <animal> ## <name>'s <animal> is [called|named] <pet> ## <name> [called|named|baptised] the <animal> <pet> ## <name> has a <animal>, and its name is <pet> ##
        <pet> is [the name of|what we call] <name>'s <animal> ## the <animal> answers to the name of <pet> ## <name> shares a home with {pet} ## <name> got a <animal> and called it <pet> ##
        <name> [bought|sold|got|adopted|purchased] a <animal> for {money} ## <name> paid {money} for {pet} ## the <animal> cost <name> {money} ##
        <pet> is a <animal> and belongs to <name> ## the <animal> of <name> is called <pet> ## <name> was [bitten|woken|chased|followed|scared|licked|greeted|scratched] by {animal} ##
        <name> was [bitten|woken|chased|followed|greeted|scratched] by the <animal> <pet> ## the <animal> <pet> is <age> years old ## <pet>, a <age>-year-old <animal>, {pa.T <name>} ##
        a <animal> [escaped|ran away|was seen|turned up|got lost|was rescued|was born|went missing] in <city> ## we saw a <animal> in <city> ##
        {pet} [escaped|ran away|got lost|went missing] in <city> ## there is a <colour> <animal> in <name>'s garden ## the <colour> <animal> is <name>'s ## <name> {ap.D a <colour> <animal>} ##
        <company> [breeds|sells|sold|lost|trains] the <animal> <pet> ## <name> trained <pet> the <animal> for <hours> hours ## <name> spent <hours> hours [looking for|with|chasing] {pet} ##
        <name> gave {pet} a <item> to play with ## <pet>, the <colour> <animal>, {pa.T <name>}"""),
    (7, "past", True, "age job day city", """
        it took <name> <hours> hours to {act.V {np}} ## <name> [needed|took|spent|wasted] <hours> hours [to {act.V {np}}|to {act.V {np}}|{act.G {np}}] ##
        <name> {act.D {np}} [in|within|in under|in just] <hours> hours ## <name> [worked|slaved|laboured|toiled|fiddled] on {the} for <hours> hours ##
        <hours> hours passed before <name> {act.D {np}} ##
        within <hours> hours, <name> had {act.P {np}} ## after <hours> hours, <name> [finally |]{act.D {np}} ##
        <name> [works|worked|has to work|puts in|clocked up|did] <hours> hours [for|at] <company> ## <company> makes <name> work <hours> hours ##
        <name> worked <hours> hours and got {money} ## for <hours> hours of work, <company> paid <name> {money} ##
        <name> [charges|asks|gets|wants] {money} for <hours> hours of work ## <name> waited <hours> hours for {sg} ##
        for <hours> hours, <name> [did nothing but {act.V {np}}|tried to {act.V {np}}|was looking for {sg}] ##
        <name> [slept|waited|queued|talked|drove|swam|danced|practised|was stuck] for <hours> hours ## <hours> hours is what <name> needed to {act.V {np}} ##
        {act.G {np}} took <name> <hours> hours ## {act.G {np}} cost <name> {money} ## {the} kept <name> busy for <hours> hours ## the repair of {the} took <hours> hours and cost {money} ##
        <name> is paid {money} for <hours> hours as a <job> ## in <hours> hours, <name> made {qi}"""),
    (4, "past", True, "year day", """
        <name> was [born|raised|christened|married|buried|arrested|robbed|elected|honoured|forgotten] in <city> ##
        <city> is where <name> [lives|grew up|works|was born|feels at home|met the family] ## <city> is <name>'s [home|home town|favourite city|birthplace] ##
        <city> made <name> [happy|rich|famous|ill] ##
        in <city>, <name> {act.D {np}} ## the [people|streets|cafes] of <city> know <name> ## <name> was in <city> to {act.V {np}} ## <name> {act.D {np}} on a trip to <city> ##
        <name> {act.D {np}} near <city> ## <name>'s <item> is in <city> ## {the} was {act.P} in <city> ## {np} from <city> [arrived|reached <name>|impressed <name>] [safely|intact|late] ##
        the year was <year>, and <name> {act.D {np}} ## it was <year> when <name> {go.D <city>} ## <year> was the year <name> {pc.D <company>} ## <year> saw <name> {go.V <city>} ##
        <name> was born in <city> in <year> and became a <job> ## by <year>, <name> had {act.P {np}} ## since <year>, <name> has {act.P {np}} ##
        since <year>, <name> has lived in <city> ## until <year>, <name> worked as a <job> ## back in <year>, <company> {ci.D {np}} ## <company> has existed since <year> ##
        as early as <year>, <company> {cp.D <name>} ## the <item> dates from <year> ## {the} was built in <year> by <name> ## in the summer of <year>, <name> {act.D {np}}"""),
]
QUESTIONS = """did <name> [really |ever |]{act.V {np}} ## has <name> [already |ever |really |]{act.P {np}} ## will <name> {act.V {np}} ## is <name> going to {act.V {np}} ##
    [when|where|why|how] did <name> {act.V {np}} ## is <name> {act.G {np}} ## was it <name> who {act.D {np}} ## wasn't it <name> who {act.D {np}} ##
    was {the} {act.P} by <name> ## were {qi} {act.P} by <name> ## does {the} belong to <name> ## did <name> {trade.V {np}} for {money} ##
    did <company> [hire|sack|promote|call|pay|sue|train|ignore|thank] <name> ## does <name> [still |really |]work for <company> ## did <name> [found|leave|join|sue|buy|quit|sell|run] <company> ##
    who told <name> to {act.V {np}} ## why should <name> {act.V {np}} ## could <name> {act.V {np}} on <day> ## can <name> come to <city> on <day> ##
    did <name> {go.V <destination>} from <city> ## does the <event> {begin1.V} at <time> ## is the <event> on <day> in <city> ## are there <guests> guests at the <event> ##
    is the <item> <colour> ## how did <name> get from <city> to <destination> ## is <name> <age> years old ## is <name> a <job> in <city> ## can I [reach|call|get] <name> on <phone> ##
    is <email> the email of <name> ## has <name> read {book} ## does {book} have <pages> pages ## does a <item> cost {money} ## do <quantity> <item> cost {money} ##
    would <name> {trade.V {np}} for {money} ## is the <animal> called <pet> ## does <name> have a <animal> called <pet> ## shall we meet <name> in <city> at <time> ##
    may <name> {act.V {np}} ## should <name> {act.V {np}} ## must <name> {act.V {np}} at <time> ## didn't <name> {act.V {np}} in <year> ## why is the <item> in room <room> <colour> ##
    who {act.D {np}}, if not <name> ## what would <name> do with {np} ## why does <company> {ci.V {np}} ## when will <company> {ci.V {np}} ## has <company> {ci.P {np}} in <city> ##
    where can I get a <colour> <item> for {money} ## how could <name> {act.V {np}} in <hours> hours ## have <quantity> <item> been {act.P} ##
    isn't <name> the [owner|founder|head] of <company> ## are <name> and <company> [still partners|in court|on good terms] ## does anyone in <city> know <name>, the <job>"""
ORDERS = """[please |kindly |]{act.V {np}} ## [don't forget to|remember to|be sure to|try to|make sure to|never] {act.V {the}} ##
    [tell|remind|ask|beg|allow|order|help|get|persuade|expect] <name> to {act.V {np}} ## let <name> {act.V {np}} ## [call|ring|phone|text] <name> on <phone> ##
    [write|send word|send a note|send the papers] to <name> at <email> ##
    [please |]{act.V {np}} on <day> ## [send|bring|give|show|sell|lend|pass|mail] <name> {np} ## [send|bring|mail|take|carry|hand|deliver] {np} to <name> ##
    [meet|visit|pick up|look for|wait for|see] <name> in <city> on <day> ## [meet|collect|expect] <name> at <time> in room <room> ## [come|be on time|dress up] for the <event> on <day> at <time> ##
    [order|buy|get|pack|count|sell|fetch|bring] {qi} ## [order|buy|get|sell] {np} for {money} ## [pay|give|send|offer|lend] <name> {money} for {np} ##
    [paint|dye|spray|colour] the <item> <colour>, please ## [read|borrow|buy|return|burn] <title> by <name> ## [tell|let] <company> know that <name> has {act.P {np}} ##
    [ask|call|ring] <company> about {sg} ## [fly|drive|travel|go] from <city> to <destination> on <day> ## [take|catch] the <time> train from <city> to <destination> ##
    [feed|brush|walk|find|catch] the <animal> <pet> ## [book|reserve|prepare|clean] room <room> for <guests> guests ## [set|lay] the tables for <guests> guests at the <event> ##
    [watch out for|beware of|thank|say hello to|congratulate|trust] <name>, the <job> from <city> ## [expect|prepare for] <guests> guests on <day> at <time> ##
    [move|shift|postpone] the <event> to <time> on <day> ## [leave|put|store|hide] {np} in room <room> ## [have|get] {the} {act.P} on <day> ## [have|let] <name> {act.V {np}} in <city>"""
NOTES = """[sold|lost|found|stolen|wanted|needed|missing|ordered|for sale|to let|offered|in stock|new in]: {qi} ##
    [sold|lost|found|stolen|wanted|missing|for sale|offered|new in]: a <colour> <item>, <city> ## [sold|for sale|offered|new in]: {np} for {money} ##
    [sold|offered]: {np} for {money}, ask for <name> ##
    <company> to {cps.V <name>} ## <company> {cps.S <name>} as <job> ## <name> to {pcs.V <company>} ## <name> {pcs.S <company>} [after dispute|at last|again|in surprise move] ##
    <name> (<age>) {act.S {np}} ## <age>-year-old <job> from <city> {act.S {np}} ## <name>, <age>, <job>, <city> ## <name>: <job>, <age> years old, [at home in|lives in|born in] <city> ##
    <name> - <phone> - <email> ## <name>, <company>, <phone> ## <name>, <company>, <email> ## [note|reminder|memo|to do]: {act.V {np}} on <day> ##
    [note|reminder|memo|to do]: [call|ring] <name> on <phone> ## [note|reminder|memo]: <event> on <day>, <time>, room <room> ## <event> in <city>: <day>, <time> ##
    <event>, <guests> guests, room <room>, from <time> ##
    [order|invoice|receipt|bill]: <quantity> <item>, <price> euros[|, <name>|, <company>] ## [order|invoice|receipt]: <name>, <quantity> <item>, <price> dollars ##
    [delivery|parcel|shipment] for <name>: {np} from <company> ## [from|route:] <city> to <destination>, <hours> hours, <price> euros ##
    <city> to <destination>: [departure|leaves at|off at] <time> ## <title>, <pages> pages, <price> euros ##
    <title> by <name>: <pages> pages, [read|finished|done] in <hours> hours ## missing since <day>: <animal>, <colour>, answers to <pet> ## <pet> (<animal>), [owner|belongs to]: <name> ##
    [wanted|sought|needed]: a <job> [in|for|near] <city>, [call|ring|contact|phone] <phone> ## [wanted|sought|needed]: <job> at <company>, [write|apply|reply] to <email> ##
    {np}: <name>'s, not ours ## room <room>: <name>, from <time> ## so much for the <item>: <name> {act.D it} ## <name> again: {sg} {act.P} ##
    a <item> and {money} to go with it: that is what <name> [got|wanted|won|offered|left] ## <quantity> <item> in <hours> hours: <name> [did it|made it|is unbeatable] ##
    not for sale: the <colour> <item> of <name> ##
    <company>, <city>: <item> [recalled|discontinued|relaunched|sold out] ## <colour> <item>, <price> euros, <company> ## {sg}? <name> {act.D it} ##
    <name>? [Left|Gone|Moved|Off|Away] to <city> ## well, <name> and {sg}: [what a story|a love story|never again] ## goodbye <city>, hello <destination>: <name> is [moving|leaving|off]"""

FILLED = {
    "now": """is gone; is back; was lost; went missing; is still here; has disappeared; looks brand-new; is beautiful; fell apart; works again; stands in the hall; is in the cellar;
    turned up again; was never seen again; is for sale; broke at once; makes
    a strange noise; is very heavy; is a real treasure; gathers dust in the attic; was a great success; fits perfectly; needs some care; smells odd; has been stolen; lies in the yard;
    attracts attention; is older than it looks""",
    "pnow": """are gone; are back; were lost; went missing; are still here; have disappeared; look brand-new; fell apart; stand in the hall; are in the cellar; turned up again; were never seen
        again; broke at once; are very heavy; need some care; lie in the yard; arrived late""",
    "conow": "is doing well; is growing; went bankrupt; is famous; is looking for staff; pays badly; has closed; had a good year; was sold; moved out; is still small; exports a lot; is struggling",
    "tail": """it began to rain; the lights went out; everybody cheered; nobody noticed; we were all asleep; things got complicated; we had already left; people started talking;
    the mood changed; a storm broke out; the crowd went wild; we could
    relax; all was quiet; there was no way back; the whole street watched; we all laughed; the problem was solved; trouble began""",
}

OPENINGS = {
    "any": """as everybody knows; if I remember rightly; according to the paper; to be honest; as far as we know; believe it or not; by the way; in the end; for some reason;
    as luck would have it; strangely enough; of course; once again;
        on top of that; against all odds; in my opinion; so far as I can tell; to cut a long story short; to put it briefly; funnily enough; oddly enough; in other words; without a doubt;
        well; at any rate; as you may have heard; for what it is worth;
        from what I hear; in all honesty; as it turns out; luckily; sadly; for your information; as agreed; as mentioned above; according to our records; if the rumours are right;
        to everyone's delight""",
    "past": """after a long night; long ago; in those days; a while ago; last week; during the storm; shortly before midnight; after much thought; some time later; in the meantime;
    early in the morning; late in the evening; after the war; last winter; back then;
        before anyone could react; after a short break; at the very last moment; in spite of the rain; with a heavy heart; without further ado; as so often; some years back;
        in broad daylight; out of the blue; with a big smile; last spring""",
    "pres": "these days; at present; as a rule; at the moment; nowadays; most of the time; as always; for now; as things stand",
    "fut": """soon; next week; before long; if all goes well; with a bit of luck; sooner or later; when the time comes; next month; after the holidays; in the near future; if nothing comes up;
        weather permitting""",
    "perf": "so far; up to now; at last; in the meantime; by now; lately; for once",
}
MIDDLES = """as everybody knows; if I remember rightly; as I said; believe it or not; of course; so they say; it seems; by the way; after some thought; without hesitation; to our surprise;
    as usual; I think; it is said; in spite of everything; for
    reasons unknown; of all people; tired as ever; always in a hurry; not without pride; who else; for better or worse; full of hope"""
ENDINGS = {
    "any": """, as everybody knows;, if I remember rightly;, or so they say;, believe it or not;, I think;, by the way;, which surprised nobody;, as far as we know;, and that is the truth;, which
        is odd;, to be precise;, so I was told;, and that was that;, of course;
        ;, which makes sense;, they say;, as the neighbours tell it;, if I am not mistaken; - what a surprise; - honestly;
        - no joke;, and everyone knows it;, the paper reports;, but keep it to yourself;, according to the paper;, no doubt about it;, apparently;, we hear""",
    "past": """ and went home; and nobody noticed; but it did not help;, and we all laughed; because there was no other way; although it was late; while it was raining;
    even though nobody had asked;, so everyone was happy;, but that was long ago;, which led to an argument;
        despite the bad weather;, and the rest is history;, then it all went quiet;, and not a moment too soon;, but regretted it later; after a long night; during the storm; in the end;
        once and for all""",
    "pres": ", and that will not change;, and has been for ages;, which is good to know;, but not for long;, at least for now",
    "fut": ", if all goes well;, weather permitting;, unless something comes up;, and soon; sooner or later;, so be prepared;, whether we like it or not; before the winter; as soon as possible",
    "perf": ", at long last;, and we are glad;, so we can relax;, which took long enough; without any help",
}
REPORTS = """I [heard|read|believe|am told|know for sure|have a feeling|was told|suppose|dreamt|noticed|bet] that {c} ## they say [that |]{c} ##
    the paper [reports|says|claims|wrote|announced] that {c} ## it turns out that {c} ## rumour has it that {c} ## no one can deny that {c} ##
    the [report|letter|file|note|diary|sign|caption|record] [says|states|shows|notes|mentions|reveals] that {c} ## what matters is that {c} ##
    it is [well known|said|a fact|no secret|a pity|good news|odd|likely|certain|amazing|a shame|possible] that {c} ##
    we [found out|learned|were informed|can confirm|regret to say|are pleased to announce|have to accept] that {c} ## you should know that {c} ##
    the [news|truth|point|trouble|funny thing|good news|bad news|long and short of it|upshot] is that {c} ## everyone [knows|says|believes|agrees|was talking about the fact] that {c} ##
    word got around that {c} ## let it be known that {c} ## it says here that {c} ## people [say|claim|think|complain|whisper] that {c} ## it seems [that |]{c} ##
    it came as a surprise that {c} ## nobody [doubts|knew|told me|believed|mentioned] that {c} ## imagine: {c} ## listen: {c} ## news: {c} ## one thing is clear: {c} ##
    just so you know: {c} ## hard to believe, but {c} ## guess what: {c} ## update: {c} ## I almost forgot: {c} ## the minutes record that {c}"""
ASKED = """did you [know|hear|read|notice] that {c} ## is it true that {c} ## can it be that {c} ## have you heard that {c} ## are you sure that {c} ## do you [think|believe|remember|mind] that
    {c} ## who would have thought that {c} ## could it be that {c} ## how come {c} ## who says that {c}"""

NAME_PARTS = {
    "age": """<name> (<age>)|<name>, <age>,|<name>, aged <age>,|<age>-year-old <name>|<name>, who is <age> years old,|<name>, age <age>,|<name>, just <age> years old,|<name>, who recently turned
        <age>,|<name>, now <age>,|<name>, who will soon be <age>,|<name>, <age> years old,""",
    "job": """<name>, a <job>,|<name>, the <job>,|the <job> <name>|<name>, who works as a <job>,|<name>, a <job> by trade,|a <job> named <name>|a <job> called <name>|<name> the <job>|<name>, once
        a <job>,|<name>, formerly a <job>,|our <job>, <name>,|our <job> <name>
        |<name>, a <job> with big plans,|<name> (<job>)|<name>, a <job> for many years,|<name>, our <job>,|<name>, who used to be a <job>,|<name>, known as a good <job>,|<name>, a <job> at heart,""",
    "city": """<name> from <city>|<name>, from <city>,|<name> of <city>|<name>, who lives in <city>,|<name> (<city>)|<name>, born in <city>,|<name>, a resident of <city>,|<city>-born
        <name>|<name>, who grew up in <city>,|<name>, at home in <city>,|<name>, visiting from <city>,""",
    "company": """<name> of <company>|<name> from <company>|<name> at <company>|<name>, who works for <company>,|<name>, who runs <company>,|<name>, the head of <company>,|<name>, the founder of
        <company>,|<name> (<company>)|<name>, employed by <company>,
        |<name>, the owner of <company>,|<name>, who left <company>,|<name>, sent by <company>,|<name>, a client of <company>,|<name>, fresh from <company>,""",
    "age job": """<name>, a <age>-year-old <job>,|the <age>-year-old <job> <name>|<name> (<age>), a <job>,|<name>, <job>, <age> years old,|a <age>-year-old <job> called <name>|<name>, a <job> aged
        <age>,""",
    "job city": "<name>, a <job> from <city>,|the <city> <job> <name>|<name>, a <job> in <city>,|a <job> from <city> called <name>|<name>, who works as a <job> in <city>,|<name>, <job> in <city>,",
    "age city": "<name>, <age>, from <city>,|<name> (<age>) from <city>|<age>-year-old <name> from <city>|<name> from <city>, who is <age> years old,",
    "company job": """<name>, a <job> at <company>,|<company>'s <job> <name>|<company> <job> <name>|<name>, who works as a <job> at <company>,|<name>, the <job> of <company>,|a <job> at <company>
        called <name>""",
}
ADJUNCTS = {
    "city": """in <city>|in <city>|in <city>|near <city>|[over |down |up |here |back |right |somewhere ]in <city>|not far from <city>|[in the centre|in the north|on the outskirts|in a suburb|in
        the middle] of <city>|[close|very close] to <city>|just outside <city>""",
    "day": "on <day>|on <day>|on <day>|on <day>|on <day> [morning|evening|afternoon|night]|[early|late|first thing] on <day>|[already|only|as usual] on <day>",
    "year": """in <year>|in <year>|in <year>|back in <year>|[early|late] in <year>|[in the spring|in the autumn|in the course|at the start|at the end|at the beginning] of
        <year>|[during|around|sometime in] <year>|in the year <year>""",
    "time": "at <time>|at <time>|at <time>|at [exactly|about|precisely] <time>|[around|shortly before|shortly after|just before|a little after] <time>|at <time> [sharp|on the dot]",
}
FITTING = {"past": {"city", "day", "year", "time"}, "fut": {"city", "day", "time"}, "pres": {"city"}, "perf": {"city"}, "mixed": {"city"}}

SUBSETS = {
    "eva": "organise host plan attend miss arrange cancel postpone prepare open announce photograph enjoy join lead run interrupt spoil chair visit film finance".split(),
    "bookp": "read write translate publish borrow edit review illustrate proofread reread recommend study devour print summarise record".split(),
    "aip": "chew,knock over,drag away,bury,break,steal,scratch,ruin,tear up,guard,lick,find,damage".split(","),
    "begin1": "begin,start,end,finish,open,kick off,close".split(","),
    "cps": "hire,sack,recruit,promote,appoint,fire,dismiss,take on,rehire,engage,lure,sue,pay".split(","),
    "pcs": "join,leave,quit,found,buy,sell,sue,take over,head,lead,run,rescue,save,own,chair,rejoin,inherit".split(","),
}
PARTICLES = set("up out away down off back over aside along on in".split())
MOVABLE = {"act", "trade", "ci"}
NO_PASSIVE = {"get", "let", "part"}
MOST_SLOTS = 4
SLOT = re.compile(r"<(\w+)>")
MACRO = re.compile(r"\{(\w+)\}")
CHOICE = re.compile(r"\[([^\[\]]*)\]")
VERB = re.compile(r"\{(\w+)\.([VSDPGT])(?: ([^{}]*))?\}")
BARE_NAME = re.compile(r"<name>(?!')")
LEFT_OVER_COMMA = re.compile(r",(?=\s*[,.!?;:)]|\s*$| - )")


def _parts(text, by=";"):
    """The pieces of a text of the tables above, each on one line."""
    return [" ".join(part.split()) for part in text.split(by) if part.strip()]


VERBS = {kind: _parts(text) for kind, text in LEXICON.items()} | SUBSETS
FORMS = {base: (past, participle) for base, past, participle in (line.split() for line in _parts(IRREGULAR))}
GROUPS = [(tense, tail, set(extensions.split()), _parts(text, "##")) for _, tense, tail, extensions, text in STATEMENTS]
GROUP_WEIGHTS = [group[0] for group in STATEMENTS]
QUESTION_PARTS, ORDER_PARTS, NOTE_PARTS, REPORT_PARTS, ASKED_PARTS = (_parts(text, "##") for text in (QUESTIONS, ORDERS, NOTES, REPORTS, ASKED))
FILLED_PARTS, OPENING_PARTS, ENDING_PARTS = ({key: _parts(text) for key, text in table.items()} for table in (FILLED, OPENINGS, ENDINGS))
MIDDLE_PARTS = _parts(MIDDLES)
APPOSITIONS = {key: _parts(text, "|") for key, text in NAME_PARTS.items()}


def _inflect(base, form):
    """One form of a verb: V plain, S third person, D past, P participle, G -ing form."""
    if form == "V":
        return base
    if base == "be":
        return {"S": "is", "D": "was", "P": "been", "G": "being"}[form]
    to_i = base[-1] == "y" and base[-2] not in "aeiou"
    stem = base + base[-1] if base in DOUBLED else base
    if form == "S":
        return base[:-1] + "ies" if to_i else base + ("es" if base.endswith(("s", "x", "z", "ch", "sh", "o")) else "s")
    if form == "G":
        if base.endswith("ie"):
            return base[:-2] + "ying"
        return base[:-1] + "ing" if base.endswith("e") and not base.endswith(("ee", "ye")) else stem + "ing"
    if base in FORMS:
        return FORMS[base][form == "P"]
    return base[:-1] + "ied" if to_i else base + "d" if base.endswith("e") else stem + "ed"


class _Clause:
    """A template being expanded; remembers the tense its verb got."""

    def __init__(self, rng, tense):
        self.rng = rng
        self.tense = tense

    def expand(self, text):
        while True:
            longer = MACRO.sub(self._macro, text)
            longer = CHOICE.sub(lambda match: self.rng.choice(match[1].split("|")), longer)
            if longer == text:
                break
            text = longer
        return " ".join(VERB.sub(self._verb, text).split())

    def _macro(self, match):
        return MACROS[match[1]] if match[1] in MACROS else self.rng.choice(FILLED_PARTS[match[1]])

    def _verb(self, match):
        kind, form, thing = match[1], match[2], match[3] or ""
        verbs = VERBS[kind]
        if form in "VG":
            verbs = [verb for verb in verbs if not verb.startswith("be ")]
        elif form == "P":
            verbs = [verb for verb in verbs if verb.split()[0] not in NO_PASSIVE]
        head, _, rest = self.rng.choice(verbs).partition(" ")
        pattern = self._pattern(kind, head) if form == "T" else form
        words = re.sub(r"\b[VSDPG]\b", lambda letter: _inflect(head, letter[0]), pattern)
        if rest in PARTICLES and kind in MOVABLE and (thing == "it" or self.rng.random() < 0.3):
            rest = "~ " + rest
        rest = rest.replace("~", thing) if "~" in rest else f"{rest} {thing}"
        return " ".join(f"{words} {rest}".split())

    def _pattern(self, kind, head):
        fitting = [(tense, pattern) for tense, pattern, stative in TENSES if (stative or head not in STATIVE and kind != "begin")
                   and not (head == "be" and re.match("did|does|always|never|often|still|no longer", pattern)) and not (kind == "begin" and (tense == "perf" or "claims" in pattern))]
        self.tense, pattern = self.rng.choice(fitting)
        if head != "be" and kind != "begin" and pattern in ("D", "S", "has P", "had P", "will V", "was G") and self.rng.random() < 0.15:
            pattern = pattern[:-1] + self.rng.choice(ADVERBS) + " " + pattern[-1]
        return pattern


def _slots(text):
    return SLOT.findall(text)


def _with_apposition(rng, text, allowed):
    """Says more about the person: an age, a job, a city or a company beside the name."""
    fitting = [key for key in APPOSITIONS if allowed.issuperset(key.split())]
    if not fitting or not BARE_NAME.search(text):
        return text
    return BARE_NAME.sub(lambda _: rng.choice(APPOSITIONS[rng.choice(fitting)]), text, count=1)


def _with_adjunct(rng, clause, text, allowed, tail):
    """Says where or when, at the end or in front."""
    fitting = sorted(allowed & FITTING[clause.tense])
    if not fitting:
        return text, False
    adjunct = clause.expand(f"[{ADJUNCTS[rng.choice(fitting)]}]")
    if tail and rng.random() < 0.7:
        return f"{text} {adjunct}", False
    return f"{adjunct}, {text}", True


def _statement(rng):
    tense, tail, extensions, parts = rng.choices(GROUPS, GROUP_WEIGHTS)[0]
    clause = _Clause(rng, tense)
    text = clause.expand(rng.choice(parts))
    fronted = apposed = False
    for _ in range(2):
        slots = set(_slots(text))
        free = extensions - slots
        if "destination" in slots:
            free.discard("city")
        if slots & {"day", "time"}:
            free.discard("year")
        if "year" in slots:
            free -= {"day", "time"}
        if len(slots) >= MOST_SLOTS or rng.random() < 0.6:
            continue
        if not apposed and rng.random() < 0.5:
            text = _with_apposition(rng, text, free)
            apposed = True
        elif not fronted:
            text, fronted = _with_adjunct(rng, clause, text, free, tail)
    if not apposed and rng.random() < 0.1 and text.startswith("<name> "):
        text = text.replace("<name> ", f"<name>, {rng.choice(MIDDLE_PARTS)}, ", 1)
    tenses = ["any"] if clause.tense == "mixed" else ["any", clause.tense]
    wrap = rng.random()
    if wrap < 0.14 and not fronted:
        text = f"{rng.choice(OPENING_PARTS[rng.choice(tenses)])}, {text}"
    elif wrap < 0.28 and tail:
        ending = rng.choice(ENDING_PARTS[rng.choice(tenses)])
        text += ending if ending[0] == "," else f" {ending}"
    elif wrap < 0.38:
        text = clause.expand(rng.choice(REPORT_PARTS).replace("{c}", "\0")).replace("\0", text)
    elif wrap < 0.42:
        return clause.expand(rng.choice(ASKED_PARTS).replace("{c}", "\0")).replace("\0", text) + "?"
    return text + ("!" if rng.random() < 0.05 else ".")


def _plain(rng, parts, tense, mark):
    text = _Clause(rng, tense).expand(rng.choice(parts))
    if rng.random() < 0.2 and len(_slots(text)) < MOST_SLOTS and parts is not NOTE_PARTS:
        text = _with_apposition(rng, text, {"age", "job", "company"} - set(_slots(text)))
    return text + mark


def made_frame(rng):
    """One frame: a sentence with one to four different slots."""
    while True:
        kind = rng.random()
        if kind < 0.82:
            text = _statement(rng)
        elif kind < 0.88:
            text = _plain(rng, QUESTION_PARTS, "past", "?")
        elif kind < 0.94:
            text = _plain(rng, ORDER_PARTS, "fut", rng.choice("...!"))
        else:
            text = _plain(rng, NOTE_PARTS, "past", rng.choice("...!"))
        text = LEFT_OVER_COMMA.sub("", text)
        slots = _slots(text)
        if 1 <= len(slots) <= MOST_SLOTS and len(slots) == len(set(slots)):
            return text[0].upper() + text[1:]
