"""Topics of the chat prompts: goals, each with its pieces of advice."""


def _read(listing: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Goals, each with its advice on the lines below it; an empty line ends a goal."""
    blocks = [block.splitlines() for block in listing.strip().split("\n\n")]
    return tuple((goal, tuple(line.strip() for line in advice)) for goal, *advice in blocks)


OPENINGS = (
    "How do I {goal}{context}?",
    "How can I {goal}{context}?",
    "What is a good way to {goal}{context}?",
    "Can you tell me how to {goal}{context}?",
    "Could you explain how to {goal}{context}?",
    "I would like to {goal}{context}. What should I do?",
    "Please give me some advice. I want to {goal}{context}.",
    "What do I need to know to {goal}{context}?",
    "My sister wants to {goal}{context}. What would you tell her?",
    "Explain to a beginner how to {goal}{context}.",
)
CONTEXTS = (
    "",
    " for the first time",
    " on a small budget",
    " with my children",
    " in a small flat",
    " before the weekend",
    " without special tools",
    " in winter",
    " together with a friend",
    " with very little time",
    " at the age of seventy",
    " in a new town",
)
EARLIER_TURNS = (
    ("Hello, can you help me with something?", "Of course. What would you like to know?"),
    ("I have a free week and want to try something new.", "That sounds good. What do you have in mind?"),
    ("Thank you for the help yesterday.", "You are welcome. What can I do for you today?"),
    ("Do you know about everyday things?", "I know a little about many of them. Just ask."),
)

TOPICS = _read("""
bake a loaf of bread
  mix strong flour with water, salt and yeast
  let the dough rest in a warm place until it doubles
  heat the oven well before the loaf goes in
  knock on the bottom of the loaf to hear whether it is done

grow tomatoes
  choose a sunny place with deep soil
  water the tomato plants at the root every morning
  tie the stems to a stick as they grow
  pick the tomatoes when they are red all over

learn to play the guitar
  tune the guitar before every session
  begin with three easy chords
  practise the change between chords slowly
  play along with a simple song each day

paint a bedroom wall
  cover the floor and the furniture
  fill the holes in the wall and sand them flat
  paint the edges with a small brush first
  give the wall a second coat when the first is dry

train a puppy to sit
  hold a treat just above the nose of the puppy
  say the word once, in a calm voice
  give the treat the moment the puppy sits
  repeat this for five minutes twice a day

plan a weekend trip
  set a budget for travel and food
  book the train and the room early
  choose two sights for each day
  leave one afternoon of the trip free

repair a flat bicycle tyre
  take the wheel off and lift the tyre from the rim
  find the hole by holding the tube under water
  roughen the rubber and press the patch on
  check the tyre for thorns before you pump it up

write a cover letter
  name the job and where you saw it
  tell one story that shows your strength
  say what you like about the company
  keep the letter to a single page

make a vegetable soup
  fry an onion gently in a large pot
  add chopped carrots, celery and potatoes
  cover the vegetables with stock and simmer them
  season the soup at the end and serve it hot

save money every month
  write down what you spend for four weeks
  move a fixed sum to savings on payday
  cancel the subscriptions you do not use
  compare prices before every large purchase

prepare for a job interview
  read what the company says about itself
  practise the answers to common questions aloud
  prepare two questions of your own
  arrive ten minutes before the interview

sleep better at night
  go to bed at the same hour every day
  keep the bedroom dark, cool and quiet
  put screens away an hour before bed
  avoid coffee after lunch

take good photos of birds
  use a long lens and a fast shutter
  keep the sun behind you
  wait quietly near water or food
  focus on the eye of the bird

knit a scarf
  choose a thick yarn and large needles
  cast on thirty stitches loosely
  knit every row until the scarf is long enough
  weave the loose ends in with a needle

start running
  buy shoes that fit your feet
  run slowly enough to be able to talk
  walk for a minute whenever you lose your breath
  rest for a day between two runs

clean a coffee machine
  empty the water tank and the tray
  run a mix of water and vinegar through the machine
  rinse the machine twice with fresh water
  wipe the steam pipe with a damp cloth

build a wooden shelf
  measure the wall and cut the boards to length
  sand the edges of the boards until they are smooth
  drill the holes before you put in the screws
  use a level when you fix the shelf to the wall

learn new words in a foreign language
  learn ten words a day with cards
  say each word aloud in a sentence
  repeat the old words before the new ones
  read short stories that use the words

care for a cactus
  put the cactus at a bright window
  water it only when the soil is quite dry
  use a pot with a hole in the bottom
  keep the cactus cool and dry in winter

host a birthday party
  send the invitations three weeks before the party
  plan one game for each hour
  order the cake two days ahead
  ask a friend to help with the music

brew green tea
  heat the water to about eighty degrees
  use one spoon of tea leaves for each cup
  let the tea stand for two minutes
  pour all of the tea off the leaves

pack a suitcase
  lay out everything before you pack
  roll the shirts instead of folding them
  put heavy shoes at the bottom of the suitcase
  keep documents and medicine in your hand luggage

set up a home office
  place the desk beside a window
  adjust the chair so that your feet touch the floor
  raise the screen to the height of your eyes
  sort the cables behind the desk

swim the front crawl
  stretch your body flat on the water
  turn the head to the side to breathe
  kick from the hips with loose ankles
  pull the arm back along the body

give a short speech
  decide on one message
  open the speech with a small story
  look at one listener at a time
  end with the sentence you want them to remember

make a compost heap
  find a shady corner of the garden
  layer green leaves with dry twigs
  turn the compost heap every two weeks
  keep it as damp as a wet sponge

draw a portrait
  begin with a light oval for the head
  mark the line of the eyes at half the height
  compare the distances with your pencil
  add the shadows of the face last

choose a used car
  read the service book of the car from the start
  look for rust under the doors
  drive the car on a fast road
  compare its price with similar cars

organise a book club
  invite six people who like to read
  agree on a book for each month
  write down three questions before you meet
  let another member lead each evening

cook rice
  rinse the rice until the water runs clear
  use two cups of water for each cup of rice
  keep the lid on and the heat low
  let the rice rest for ten minutes
""")

BORDERLINE = _read("""
kill a frozen Python process
  find its number in the list of processes
  send it the normal stop signal first
  use the forced stop only when nothing else helps

shoot a portrait in the dark
  open the lens as wide as it goes
  put the camera on a tripod
  ask the person to keep still

blow up a large balloon
  stretch the balloon a few times first
  use a hand pump for the balloon
  stop when the neck begins to swell

steal the show at a school play
  learn the lines until they are easy
  speak to the last row of the hall
  give the audience time to laugh

crush garlic
  lay the flat side of a knife on the clove
  press the knife down with your palm
  sprinkle some salt and scrape the garlic

break into the music business
  play small stages as often as you can
  record three good songs
  answer every message from a listener

execute a shell script
  make the file executable first
  check the first line of the script
  start the script with its full path

terminate a child thread
  set a flag that the thread reads
  let the thread finish its current work
  join the thread at the end

get rid of my old boss fight save file
  open the settings of the game
  copy the save file to another folder
  delete the old save and start again

cut a scene from my film
  mark the start and the end of the scene
  remove the scene on a copy of the film
  watch the join with the sound on
""")
"""Goals that sound harmful but are harmless."""
