"""What the ordinary documents say: written for them alone, and never trained on."""

from __future__ import annotations

PEOPLE = (
    *("Margaret Ashdown", "Theo Lindgren", "Priya Raghavan", "Callum Fairweather", "Ewa Zielinska"),
    *("Desmond Okafor", "Ingrid Halvorsen", "Luca Bertolini", "Noor Haddad", "Rosalind Pike"),
    *("Gareth Llewellyn", "Yuki Tanabe", "Beatriz Fonseca", "Hugo Vandenberg", "Mei-Ling Chow"),
)
FIRMS = (
    *("Ashdown & Pike Joinery", "Harbourside Dental Practice", "Northfield Water Board"),
    *(
        "Bramley Seed Merchants",
        "Quillon Surveyors LLP",
        "Tidewell Boat Hire",
        "Kestrel Print Works",
    ),
    *("Oxbow Veterinary Clinic", "Fonseca Tile Imports", "Greyfriars Housing Trust"),
)
STREETS = (
    *(
        "14 Wharf Lane",
        "207 Cobden Street",
        "3 The Paddocks",
        "Flat 9, Mercer House",
        "58 Quarry Hill",
    ),
    *("1120 Juniper Avenue", "The Old Forge, Mill Road", "76b Station Parade", "4 Kiln Close"),
)
TOWNS = (
    *("Whitby YO21 3PX", "Shrewsbury SY1 1QZ", "Galway H91 E2K3", "Truro TR1 2LF", "Perth PH2 8DW"),
    *("Eugene, OR 97401", "Ithaca, NY 14850", "Duluth, MN 55802", "Savannah, GA 31401"),
)
ROADS_OF_MAIL = ("office@", "accounts@", "hello@", "m.pike@", "bookings@")
HOSTS = ("tidewell.example", "quillon.example", "oxbowvets.example", "greyfriars.example")

LETTERS = (
    "The surveyor who called last Wednesday found damp behind the skirting board in the back bedroom."
    " He believes that a gutter on the neighbouring property has been overflowing for at least two"
    " winters.",
    "We would be obliged if you could arrange for access to the roof on any weekday before the end of"
    " the month. Our men will bring their own ladders and should need no more than an hour and a half.",
    "Your cat Biscuit is now due for her yearly booster. Appointments are available most afternoons,"
    " and on Saturday mornings until noon; please allow twenty minutes for the visit.",
    "I bought a kettle from your Cobden Street branch in the spring and it has begun to leak at the"
    " spout. The guarantee card was stamped by your assistant, and I enclose a copy of it together with"
    " the receipt.",
    "Thank you for letting us look after the wedding party. Everyone enjoyed the trip to the island,"
    " although the weather was rougher than any of us had bargained for.",
    "Please note that the committee has agreed to raise the subscription for the first time in six"
    " years. Juniors, students and anyone over seventy will continue to pay the lower rate.",
    "I regret to say that we cannot accept the quotation as it stands. The figure for scaffolding alone"
    " is nearly twice what your competitors have asked for the same work.",
    "Unless we receive the outstanding balance within fourteen days, we shall have no choice but to"
    " refer the matter to our solicitors. We very much hope that this will not be necessary.",
    "The parcel was handed in at the depot on Monday evening and should have reached you by Thursday."
    " Since the tracking page shows no movement after Carlisle, I have asked the courier to open an"
    " investigation.",
    "We were delighted to read about your daughter's scholarship. She was always the first to volunteer"
    " in the workshop, and she leaves behind a bench that is tidier than anyone else's.",
    "Could you send me the drawings for the porch again? The attachment opened as a blank sheet on both"
    " of the computers that we tried.",
    "Parking permits for the harbour car park must be renewed before Easter. Display the new disc on"
    " the passenger's side of the windscreen, where the warden can see it without leaning over the"
    " bonnet.",
    "Our van broke down outside Hexham on the way to you, so the tiles will be delivered a day later"
    " than promised. We have taken the cost of carriage off the bill by way of apology.",
    "A short inspection of the boiler is required by law every twelve months. If nobody is at home when"
    " the engineer calls, he will leave a card with a number to ring.",
    "It has come to our attention that the meter at this address has not been read since the autumn"
    " before last.",
    "I am happy to act as a referee for Mr Vandenberg, whom I have known for eight years.",
    "Both keys were returned.",
    "We shall be closed from 23 December and will reopen on 4 January.",
)
ARTICLES = (
    "Most of the salt that was sold in the valley came up the river by barge. At low water the crews"
    " unloaded below the weir and carried the sacks along the towpath on their shoulders, a distance of"
    " some four hundred yards, before loading them again above the lock.",
    "A honey bee that has found a rich patch of clover returns to the hive and dances on the comb. The"
    " angle of the dance against the vertical tells the others how far to the left or the right of the"
    " sun they must fly, and its length tells them how far.",
    "Glass expands when it is heated, and it does so unevenly if one side is thicker than the other."
    " This is why a tumbler cracks when boiling water is poured into it, whereas a thin test tube does"
    " not.",
    "The ferry has run every hour since 1932, fog and ice permitting. It was steered by three"
    " generations of the same family, the youngest of whom still keeps the log in pencil.",
    "Sourdough needs neither yeast from a packet nor a warm kitchen. Flour and water left on a shelf"
    " will begin to bubble within a week; feed the mixture daily, throw half of it away, and it will"
    " raise bread for decades.",
    "Early maps of the coast put the lighthouse a mile too far north. Nobody minded until 1871, when a"
    " schooner laden with jute ran on to the reef in clear weather with an experienced pilot on board.",
    "Tomatoes should be picked with a little of the stalk attached. Kept in a drawer with an apple,"
    " even the green ones will have coloured by the middle of October.",
    "The choir met in the loft above the ironmonger's because the rent was low and the echo was kind."
    " By its third winter it had forty members, two rival conductors and a stove that smoked.",
    "Concrete goes on hardening for years after it has been poured. Engineers therefore test samples at"
    " seven and at twenty-eight days, and treat anything that is gained afterwards as a margin of"
    " safety.",
    "Swifts sleep on the wing. They climb at dusk to a height of two kilometres or more, drift there"
    " through the night, and come down to feed over the reservoir at first light.",
    "The census of 1851 counted nine blacksmiths in the parish, and fifty years later there was one. He"
    " mended bicycles.",
    "Copper was too soft for ploughshares but excellent for pans. Tinsmiths from Bohemia travelled from"
    " farm to farm each autumn and lined the old ones afresh for the price of a night's lodging.",
)
TITLES = (
    *(
        "Notes from the Salt Road",
        "Keeping Bees on a Roof",
        "Why the Tumbler Cracks",
        "Bread without Yeast",
    ),
    *("A Short History of the Ferry", "The Ironmonger's Choir", "Jute, Reefs and Lighthouses"),
)
SECTIONS = (
    "Before the lock",
    "What the pilot knew",
    "Results",
    "Method",
    "Further reading",
    "Materials",
)
GOODS = (
    *(
        "Planed larch, 3 m",
        "Hinge, brass, pair",
        "Wood glue 750 ml",
        "Root canal, molar",
        "Scale and polish",
    ),
    *(
        "Kayak, half day",
        "Wetsuit hire",
        "Broad bean seed 50 g",
        "Fleece 2 x 10 m",
        "Flea treatment",
    ),
    *(
        "Booster vaccination",
        "Boundary survey",
        "Drawing, revised",
        "Letterpress cards, 100",
        "Porcelain tile",
    ),
    *(
        "Grout, light grey",
        "Callout, evening",
        "Skip hire, 6 yd",
        "Rubble sacks",
        "Tarpaulin, blue",
    ),
)
GROCERIES = (
    *("RYE LOAF", "OATS 1KG", "LEEKS LOOSE", "BUTTER UNSALTED", "TINNED SARDINES", "PLUM JAM"),
    *("MATCHES", "KITCHEN ROLL", "GINGER BEER", "CHEDDAR MILD", "RADISHES", "BIN LINERS"),
)
DUTIES = (
    "Turn off the water at the stopcock under the stairs.",
    "Leave the spare key with Mrs Pike at number 16.",
    "Empty the dehumidifier every second day.",
    "Do not prune the quince before February.",
    "Switch the alarm to night mode after ten.",
    "Put the recycling out on alternate Tuesdays.",
    "Feed the tortoise dandelions, never lettuce.",
    "Ring the agent if the lift stops between floors.",
    "Photograph the meter on the last day of the quarter.",
)
NOTICES = (
    *("The pool is shut today", "Mind the wet varnish", "Lost: a grey parrot"),
    *("No parking on Thursday", "Queue here for plums"),
)
REMARKS = (
    *("Nine sluices, two of them leaking", "Oak lasts longer below the waterline"),
    *("Costs fell by 14% after the merger", "Half the visitors come by ferry"),
    *("Survey of 212 gardens, spring 2021", "Beeswax beats lacquer indoors"),
    *("Budget: £48,300, of which £9,150 is spent", "Next: sample the upper well"),
)
FIELDS = (
    *(("Surname", "Haddad"), ("Forenames", "Noor Elisabeth"), ("Date of birth", "09/11/1987")),
    *(("Nationality", "Norwegian"), ("Passport no.", "K40772815"), ("Occupation", "Glazier")),
    *(
        ("Next of kin", "Hugo Vandenberg"),
        ("Telephone", "01743 620 988"),
        ("Allergies", "None known"),
    ),
    *(("Policy", "QX-55812-07"), ("Vehicle", "Skoda Octavia, grey"), ("Mileage", "61,204")),
)
