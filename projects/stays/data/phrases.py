"""What the made-up hosts and guests write. Plain text, put together by make.py."""

# ruff: noqa: SIM905 (words are easier to read and to add to in one text)

FIRST_NAMES = (
    "Ada Aiko Amara Amir Ana Anders Anouk Aroha Arjun Beatriz Bongani Camille Carlos Chidi Clara "
    "Daan Dalia Diego Elif Elena Emeka Emil Esi Fatima Felix Finn Freya Gabriel Giulia Hana Haruto "
    "Hugo Ines Ingrid Isla Ivan Jin Joana Jonas Kaia Kamal Kenji Kofi Lars Laila Leila Leo Linh "
    "Lucia Luka Maja Malik Mara Marco Mateo Mei Mila Minh Nadia Naomi Nia Nils Noor Olga Omar "
    "Oscar Petra Priya Quentin Rafael Rania Ravi Rosa Ruben Sami Sara Sefa Signe Sofia Soren Tala "
    "Tane Tariq Teresa Thabo Theo Tomas Uma Vera Victor Wei Wren Yara Yuki Zain Zoe"
).split()
LAST_NAMES = (
    "Abara Adeyemi Almeida Andersen Aoki Arslan Banerjee Barros Becker Bello Bianchi Blom Bose "
    "Campbell Castro Chandra Cole Costa Dahl Delgado Dias Diallo Dubois Duarte Eriksen Evans "
    "Farouk Ferrari Fischer Flores Fuchs Garcia Gill Haddad Hale Hansen Hart Herrera Hoang Holm "
    "Ibrahim Ito Jansen Jensen Kamau Kaur Keller Khan Kim Kowalska Kruger Lam Larsen Lefevre Lima "
    "Lopez Lund Mahlangu Marin Meyer Mendes Mori Mwangi Nair Ndiaye Nguyen Novak Okafor Olsen "
    "Ortiz Osei Park Patel Pereira Petit Pham Popov Quispe Rahman Reyes Rivera Rossi Salas Santos "
    "Sato Schmid Sharma Silva Singh Sousa Suzuki Tan Tavares Torres Vargas Vega Vogel Walker Wang "
    "Weber West Yamada Yilmaz Young Zhang"
).split()

STREETS = (
    "Market Street|Harbour Road|Station Road|Mill Lane|Church Street|Garden Row|Orchard Street|"
    "River Walk|Castle Hill|Bridge Street|School Lane|Park Avenue|Bakers Row|Museum Street|"
    "Old Town Square|Lime Tree Avenue|Hill Street|Weavers Lane|Fountain Street|Theatre Lane"
).split("|")

AMENITIES = {
    "wifi": "Wi-Fi",
    "kitchen": "Kitchen",
    "washing-machine": "Washing machine",
    "air-conditioning": "Air conditioning",
    "heating": "Heating",
    "desk": "Desk for work",
    "parking": "Parking space",
    "lift": "Lift",
    "balcony": "Balcony",
    "garden": "Garden",
    "pool": "Pool",
    "cot": "Cot",
    "pets-allowed": "Pets allowed",
    "step-free": "Step-free entrance",
    "bicycles": "Bicycles",
    "breakfast": "Breakfast",
}

ADJECTIVES = (
    "Bright Quiet Sunny Cosy Airy Calm Light-filled Roomy Simple Restful Charming Modern "
    "Old-world Tidy Friendly Colourful Leafy Snug Elegant Well-kept"
).split()
NOUNS = {
    "entire": (
        "flat|apartment|loft|studio|house|cottage|townhouse|top-floor flat|garden flat|maisonette"
    ).split("|"),
    "private": (
        "room|double room|room with a view|corner room|attic room|room and bath|guest room"
    ).split("|"),
    "shared": "bed in a shared room|bunk in a small hostel|shared room".split("|"),
}
NEARBY = (
    "the old town|the market hall|the river|the main station|the botanical garden|the university|"
    "the city museum|a quiet square|the concert hall|the central park|the covered market|"
    "the theatre district|the old brewery|the tram line|the cathedral|the bookshops"
).split("|")

OPENINGS = (
    "This {noun} is a short walk from {near}.",
    "A {noun} close to {near}, on a street with little traffic.",
    "We live nearby and let this {noun} near {near} when it is free.",
    "You will find this {noun} on the {floor} floor of a small building near {near}.",
    "My family has looked after this {noun} near {near} for years.",
    "A good place to come back to after a day in {city}: a {noun} near {near}.",
)
ABOUT = (
    "The windows face a courtyard, so nights are quiet.",
    "Mornings bring sun into the living room.",
    "The beds are firm and the curtains keep out the light.",
    "There are books to borrow and a shelf of games for a wet day.",
    "A bakery downstairs opens at six.",
    "Two cafes and a small grocer are around the corner.",
    "The walls are thick, and it stays cool in hot weather.",
    "It was renovated two years ago, with care for the old floors.",
    "The stairs are steep, so please travel light.",
    "The bathroom is small but has plenty of hot water.",
    "From the kitchen you can see the roofs of half the city.",
    "The nearest stop is four minutes away on foot.",
    "On Saturdays there is a street market outside the door.",
    "Good for families, and for anyone who likes to cook.",
    "Good for one or two people who want a base to walk from.",
    "You get a folder with our favourite places to eat.",
)
WITH = {
    "wifi": "The Wi-Fi is fast enough for video calls.",
    "kitchen": "The kitchen has all you need for a proper meal.",
    "washing-machine": "There is a washing machine, and soap for it.",
    "air-conditioning": "Both the bedroom and the living room have air conditioning.",
    "desk": "A desk by the window makes it easy to work.",
    "parking": "One parking space belongs to the house.",
    "lift": "A lift goes to every floor.",
    "balcony": "The balcony is wide enough for breakfast.",
    "garden": "The garden is yours to use.",
    "pool": "The pool is open from late spring to early autumn.",
    "pets-allowed": "Pets are welcome if they are used to a flat.",
    "step-free": "There are no steps between the street and the bedroom.",
    "bicycles": "Two bicycles stand in the hall for guests.",
    "breakfast": "Breakfast is included: bread, fruit, eggs and coffee.",
}
CLOSINGS = (
    "Check-in is from three in the afternoon.",
    "Ask me anything; I usually answer within the hour.",
    "No parties, please: the neighbours are kind and go to bed early.",
    "We can keep your bags before check-in.",
    "Smoking is fine outside, not inside.",
    "A key box lets you arrive as late as you like.",
)

# Reviews: one of each list, chosen by the rating.
FIRST = {
    5: (
        "We loved every day here.",
        "One of the best places we have stayed in.",
        "Exactly as described, only nicer.",
        "I would come back tomorrow.",
        "A lovely {noun} in the right part of {city}.",
        "We felt at home from the first minute.",
        "Spotless, quiet and well thought out.",
        "Perfect for our {length} in {city}.",
    ),
    4: (
        "A very good stay.",
        "A pleasant {noun}, and good value.",
        "We enjoyed our {length} here.",
        "Nearly perfect.",
        "Comfortable and clean.",
        "A good base for seeing {city}.",
    ),
    3: (
        "Fine for a short stay.",
        "It was all right.",
        "Good location, but the place itself is tired.",
        "Mixed feelings about this one.",
        "Decent, with a few things to put right.",
    ),
    2: (
        "Not what we had hoped for.",
        "The pictures are kinder than the place.",
        "We would not book it again.",
        "Several things did not work.",
    ),
    1: (
        "A disappointment from start to end.",
        "We left a day early.",
        "Please do not make our mistake.",
    ),
}
SECOND = {
    5: (
        "{host} met us at the door and told us where to eat.",
        "The beds are wonderful.",
        "Everything works, from the shower to the coffee pot.",
        "The walk to {near} takes ten minutes at most.",
        "It is so quiet that we slept until nine.",
        "{host} answered every message within minutes.",
        "The children did not want to leave.",
        "There was fresh bread and fruit on the table when we came.",
        "The light in the morning is a joy.",
    ),
    4: (
        "{host} was helpful and quick to answer.",
        "The street is a little loud on weekends, but we slept well.",
        "The shower takes its time to get warm.",
        "The kitchen could use a sharper knife; otherwise all was there.",
        "Being so close to {near} made up for the narrow stairs.",
        "Clean, warm and easy to find.",
        "Check-in was simple, and the bed was good.",
    ),
    3: (
        "The Wi-Fi came and went.",
        "The room was smaller than we thought.",
        "You hear the neighbours through the wall.",
        "It could have been cleaner when we arrived.",
        "{host} is friendly but took a day to answer.",
        "The heating was hard to understand.",
    ),
    2: (
        "The bathroom was not clean.",
        "There was no hot water for a whole day.",
        "It was loud until two in the morning.",
        "The bed is worn out.",
        "Nobody was there with the key for an hour.",
    ),
    1: (
        "It was dirty, and the window did not shut.",
        "The place smelled of damp, and {host} did not answer.",
        "The bed was broken and nobody came to mend it.",
    ),
}
THIRD = {
    5: ("Thank you!", "We will be back.", "Warmly recommended.", "Do not change a thing.", ""),
    4: ("Recommended.", "We would stay again.", "Good value for {city}.", "", ""),
    3: ("All right for the price.", "A bit of care would go a long way.", ""),
    2: ("There are better places for the money.", "A pity, because the area is nice.", ""),
    1: ("Not recommended.", "We asked for our money back.", ""),
}

# Messages: a question, and the answers if the place has the thing and if it has not.
QUESTIONS = (
    (
        "wifi",
        "Hello! I have to work one day. Is the Wi-Fi good enough for video calls?",
        "Hello! Yes, guests often work from here.",
        "I am sorry, there is no Wi-Fi here, but the cafe on the corner has it.",
    ),
    (
        "parking",
        "Hi, we come by car. Is there somewhere to park?",
        "Yes, one space belongs to the house. I will send you the number.",
        "Not at the house. There is a car park about five minutes away.",
    ),
    (
        "cot",
        "Good morning, we travel with a baby. Do you have a cot?",
        "We do, with clean sheets. Tell me if you also need a high chair.",
        "We have none, I am afraid, but a travel cot fits next to the bed.",
    ),
    (
        "pets-allowed",
        "May we bring our dog? She is old and mostly sleeps.",
        "She is welcome. Please keep her off the beds.",
        "I am sorry, a neighbour has a strong allergy, so no pets.",
    ),
    (
        "step-free",
        "My father walks with a stick. Are there many steps?",
        "None at all: the entrance is level with the street.",
        "There are a few at the entrance, with a rail on one side.",
    ),
    (
        "washing-machine",
        "Can we wash some clothes during our stay?",
        "Of course, the machine is in the kitchen.",
        "There is no machine here, but a laundry two streets away.",
    ),
    (
        "kitchen",
        "Is the kitchen fit for cooking for everyone, or more for tea and toast?",
        "You can cook anything. Pots, pans and oil are there.",
        "We have no kitchen for guests, only a kettle.",
    ),
    (
        "breakfast",
        "Is breakfast part of the price?",
        "It is. Just tell me what you do not eat.",
        "It is not, but the bakery next door opens early.",
    ),
    (
        "lift",
        "We have heavy bags. Is there a lift?",
        "Yes, it goes to every floor.",
        "No, but I am glad to help you carry them.",
    ),
)
THANKS = (
    "Perfect, thank you!",
    "Thanks for the quick answer.",
    "Good to know. We are looking forward to it.",
    "Great, then all is clear.",
    "Thank you, see you soon!",
)
ARRIVAL = (
    (
        "Our train gets in late, at about eleven. Is that a problem?",
        "Not at all, use the key box by the door.",
    ),
    (
        "Could we drop our bags in the morning?",
        "Yes, any time after nine.",
    ),
    (
        "Which stop is the nearest?",
        "The one called after the square. From there it is four minutes on foot.",
    ),
    (
        "Is the area quiet at night?",
        "On weekdays yes. On Saturdays you may hear the cafe until eleven.",
    ),
    (
        "Would it be possible to leave an hour later on the last day?",
        "That is fine, nobody arrives that day before four.",
    ),
)
