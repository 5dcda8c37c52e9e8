"""Words of the pages by what they can stand for: every one is a single token of SmolLM2 after a space."""

from __future__ import annotations

_LISTS = {
    "name": """
        Alice Bob Carol David Emma Frank Grace Henry Jack Kate Leo Maria Noah Paul Rachel Sam Tom Victor Adam Ben
        Chris Daniel Eric Fred George Helen James Karen Laura Mark Nancy Oscar Peter Rose Sarah Tim Anna Charles
        Diana Edward Gary Harry Jane Kevin Linda Mary Nick Owen Patrick Susan Thomas Vincent Walter Arthur Albert
        Alex Andrew Anthony Brian Carl Catherine Charlotte Dennis Donald Elizabeth Howard Hugh Jason Jeff Joan John
        Joseph Julia Keith Kenneth Larry Lewis Louis Lucy Luke Margaret Martin Matthew Michael Neil Oliver Philip
        Ralph Rebecca Richard Robert Roger Ruth Ryan Samuel Simon Sophie Stephen Steve Terry Victoria William Wilson
        Lily Alan Amy
    """,
    "person": """
        farmer teacher doctor nurse lawyer driver sailor soldier painter writer singer dancer baker hunter gardener
        carpenter engineer pilot captain officer judge priest king queen prince princess merchant student professor
        librarian scientist reporter editor manager clerk guard cook maid neighbor stranger child boy girl woman
        uncle aunt cousin brother sister grandfather grandmother widow guest visitor traveler tourist swimmer runner
        actor poet musician artist mayor chief mechanic dentist surgeon fisherman shepherd tailor
    """,
    "animal": """
        tiger lion bear wolf fox rabbit horse cow sheep goat pig dog cat mouse rat eagle owl duck goose chicken
        turkey shark whale dolphin seal turtle snake frog spider bee butterfly elephant giraffe monkey camel deer
        squirrel parrot crow lizard beetle donkey kitten puppy lamb bull
    """,
    "thing": """
        table chair desk lamp clock mirror bag basket bottle cup glass plate bowl spoon fork knife pot pan bike
        wagon hammer nail saw drill rope chain key lock ring crown coin watch book pen pencil paper map letter card
        stamp brush piano guitar violin drum flute bell whistle hat coat shirt dress shoe boot glove belt sock
        camera phone radio computer engine wheel candle torch flag shield sword spear arrow bow mask doll ball kite
        puzzle towel blanket pillow carpet curtain ladder bucket broom needle thread button ribbon necklace wallet
        purse umbrella telescope microscope notebook diary newspaper magazine poster photograph portrait statue vase
        jar barrel drawer cabinet shelf cradle bench ticket passport helmet compass calendar dictionary medal trophy
        trumpet shovel tent
    """,
    "food": """
        apple banana orange lemon cherry peach pear berry carrot potato tomato onion garlic pepper bean corn rice
        bread cheese butter milk egg honey sugar salt soup cake cookie coffee tea juice chocolate cream pie sandwich
        salad pasta pizza mushroom cabbage spinach pumpkin cinnamon vanilla ginger olive almond walnut jam
    """,
    "place": """
        kitchen garden school hospital museum theater market bank office factory farm mill church house barn castle
        tower station airport harbor library hotel restaurant bakery pharmacy prison palace temple stadium gym
        garage attic bathroom bedroom hall courtyard balcony shop store studio laboratory workshop warehouse cottage
        cabin monastery cathedral university college court embassy clinic cinema playground park zoo bridge gate
        fence tunnel
    """,
    "land": """
        river lake ocean island mountain hill forest valley desert beach coast meadow field swamp canyon cliff cave
        waterfall volcano glacier jungle prairie plain bay shore stream pond road path trail village town city
    """,
    "adjective": """
        old new small large heavy broken wooden golden silver dusty empty beautiful strange ancient modern expensive
        cheap shiny dirty clean tiny giant soft smooth rough sharp round square narrow wide thin thick long short
        dark bright pale plain fancy simple famous secret lost forgotten precious curious familiar ordinary perfect
        damaged painted polished locked hidden borrowed stolen cracked faded wet dry warm cold frozen
    """,
    "mood": """
        happy sad angry quiet tired hungry nervous proud lonely brave clever gentle patient cheerful worried careful
        lazy polite shy honest friendly kind wise young old poor rich famous stubborn serious
    """,
    "colour": "red blue green yellow white black brown purple pink gray orange silver golden",
    "material": """
        gold silver iron copper steel wood cotton wool silk leather plastic rubber stone clay marble glass paper
    """,
    "city": """
        Paris London Berlin Rome Madrid Vienna Prague Dublin Oslo Stockholm Warsaw Moscow Athens Istanbul Cairo
        Nairobi Delhi Mumbai Beijing Shanghai Tokyo Seoul Singapore Sydney Melbourne Toronto Montreal Vancouver
        Chicago Boston Houston Dallas Denver Seattle Miami Atlanta Detroit Phoenix Lima Lisbon Brussels Amsterdam
        Geneva Milan Venice Florence Barcelona Munich Hamburg Manchester Edinburgh Glasgow Oxford Cambridge
    """,
    "day": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "month": "January February March April May June July August September October November December",
    "season": "spring summer autumn winter",
    "time": "morning afternoon evening night",
    "found": """
        found bought sold carried hid painted repaired borrowed cleaned dropped lost broke stole collected kept
        moved packed washed wrapped polished examined noticed received returned opened closed delivered ordered
    """,
    "walked": "walked ran traveled sailed rode drove marched wandered hurried rushed returned moved climbed",
    "slept": "slept waited rested worked played sang cried stood sat danced laughed whispered prayed studied",
    "adverb": """
        slowly quickly quietly carefully suddenly happily gently silently proudly secretly calmly finally often
        always never rarely usually soon
    """,
    "number": "two three four five six seven eight nine ten eleven twelve twenty",
    "weather": "rain snow wind storm fog thunder sunshine frost hail lightning heat",
    "subject": """
        history music science mathematics geography poetry art medicine law chemistry physics astronomy biology
        philosophy religion politics architecture engineering economics literature
    """,
}
WORDS: dict[str, tuple[str, ...]] = {kind: tuple(words.split()) for kind, words in _LISTS.items()}
