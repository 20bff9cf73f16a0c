"""Advice for everyday troubles, in two manners: plain, and warm, which adds a wish that suits the trouble.

`SITUATIONS` holds for every trouble the advice, the wish and, as in `talk.py`, the wordings of the training set and
those of the held-out set. Supervised training says most advice plainly and asks in no wording for either manner:
preference training (`preference.py`) then has something to prefer, and both manners count as right answers.
"""

from talk import in_turn, split

# How much to make.
N_TRAIN = 2000  # dialogues, spread evenly over the situations
N_TEXTS = 100  # short texts for pretraining
ZH_SHARE = 0.5  # an English wish is more tokens long than a Chinese one, and takes more to learn
PLAIN_SHARE = 0.65  # of the dialogues, whatever the wording
OPENER_SHARE, CLOSER_SHARE = 0.25, 0.25  # of the user's turns
CARELESS_SHARE = 0.1  # of the user's turns: typed without the last mark
SYSTEM_SHARE = 0.1  # of the dialogues

SYSTEM = {
    "zh": ["你是一个乐于助人的助手。", "你是一位友好的聊天伙伴。", "用户遇到了小麻烦，请给他一条建议。"],
    "en": ["You are a helpful assistant.", "You are a friendly companion to chat with.", "Give the user some advice."],
}
OPENERS = {
    "zh": ["唉，", "你好，", "是这样，", "请教一下，", "跟你说，", "MiniMind，", "小助手，"],
    "en": ["Hi, ", "Well, ", "Hello! ", "Listen, ", "MiniMind, ", "Sorry to bother you, "],
}
CLOSERS = {
    "zh": ["怎么办？", "我该怎么办？", "有什么建议吗？", "给我出个主意吧。", "帮我想个办法。", "怎么办才好？"],
    "en": [" What should I do?", " What can I do?", " Any advice?", " Can you help?", " Do you have an idea?"],
}

# "when" begins a sentence of the documents; "|" separates wordings.
SITUATIONS = {
    "sleepless": {
        "zh": {
            "when": "睡不着的时候",
            "plain": "睡前别看手机，听点安静的音乐。",
            "wish": "愿你今晚睡个好觉！",
            "train": """我睡不着。|我失眠了。|我晚上总是睡不着觉。|躺在床上就是睡不着。|最近老是失眠。|翻来覆去睡不着。
                半夜了还没睡着。|我昨晚一夜没睡着。|怎样才能睡着？|失眠了怎么办？|睡不着觉该怎么做？|闭上眼睛也睡不着。
                每天都要很久才能睡着。|有没有办法让我快点睡着？""",
            "held": "夜里睡不着，有什么好办法？|这几天我一直失眠。",
        },
        "en": {
            "when": "When you cannot sleep",
            "plain": "Put your phone away and listen to quiet music.",
            "wish": "I hope you sleep well tonight!",
            "train": """I cannot sleep.|I can't fall asleep.|I lie awake every night.|I am awake and cannot sleep.
                I cannot get to sleep.|Sleep will not come.|I could not sleep last night.|How can I fall asleep?
                I have trouble falling asleep.|It is midnight and I am still awake.|I have not slept for two nights.
                What helps when you cannot sleep?|I keep lying awake in bed.|I never fall asleep before two.""",
            "held": "What can I do when I cannot fall asleep?|I lay awake in bed all night.",
        },
    },
    "cold": {
        "zh": {
            "when": "感冒的时候",
            "plain": "多喝热水，早点休息。",
            "wish": "祝你早日康复！",
            "train": """我感冒了。|我好像感冒了。|我着凉了，一直打喷嚏。|感冒了怎么办？|我得了感冒，鼻子不通。
                我一直流鼻涕。|我感冒三天了还没好。|我有点感冒，不想动。|感冒了该注意什么？|昨天淋了雨，今天感冒了。
                我又感冒了。|我感冒了，鼻子很难受。|感冒怎样才能好得快？|我着凉感冒了。""",
            "held": "我这两天感冒了，很难受。|得了感冒要怎么办？",
        },
        "en": {
            "when": "When you have a cold",
            "plain": "Drink hot water and go to bed early.",
            "wish": "Get well soon!",
            "train": """I have a cold.|I caught a cold.|I think I have a cold.|I have had a cold for three days.
                My nose is running.|I keep sneezing.|I have a bad cold.|I got a cold from my brother.
                What helps against a cold?|What should I do about a cold?|I caught a cold in the rain.
                I have a cold again.|I am sneezing all day.|How do I get rid of a cold?""",
            "held": "I have caught a bad cold this week.|What do you do against a cold?",
        },
    },
    "rain": {
        "zh": {
            "when": "下雨天要出门的时候",
            "plain": "带上雨伞，走路慢一点。",
            "wish": "愿你一路平安，很快雨过天晴！",
            "train": """外面下大雨了，我要出门。|下雨了，我还要去上学。|雨下得好大，我得去买菜。|下雨天要出门。
                正要出门，突然下雨了。|雨一直不停，我要去学校。|下雨了，可是我必须出去。|外面在下雨，我要去车站。
                天上下着雨，我要出去一趟。|下这么大的雨，我怎么出门？|下雨天出门要注意什么？|我要出门，雨却越下越大。
                下着雨呢，我得去上班。|雨这么大，我还要走路回家。""",
            "held": "外面雨很大，我必须去学校。|下雨了，我要走路去上班。",
        },
        "en": {
            "when": "When you go out in the rain",
            "plain": "Take an umbrella and walk slowly.",
            "wish": "I hope you stay dry and the sun comes out soon!",
            "train": """It is raining and I have to go out.|It rains and I must go to school.
                It is raining hard outside.|I have to walk home in the rain.|It started to rain and I want to go out.
                I must go out in the rain.|It is raining and I must go to work.
                The rain does not stop and I have to leave.|I need to go shopping but it rains.
                How do I go out in such rain?|I am going out and it is raining.|What do I need when it rains?
                It is pouring and I have to catch the bus.|The rain is heavy and I must go.""",
            "held": "It is raining a lot and I have to walk to school.|I want to go out, but there is heavy rain.",
        },
    },
    "key": {
        "zh": {
            "when": "钥匙丢了的时候",
            "plain": "先翻翻口袋和书包，再找人来开锁。",
            "wish": "祝你很快找到钥匙！",
            "train": """我的钥匙丢了。|我找不到钥匙了。|钥匙不见了。|我把钥匙弄丢了。|家门钥匙找不着了。
                我忘带钥匙，进不了门。|钥匙不知道放哪儿了。|我丢了家里的钥匙。|没有钥匙，打不开门。|钥匙丢了怎么办？
                到处都找不到我的钥匙。|我的钥匙去哪儿了？|钥匙好像掉在路上了。|站在家门口，发现没带钥匙。""",
            "held": "我找了半天，钥匙还是不见。|家里的钥匙被我弄丢了。",
        },
        "en": {
            "when": "When you have lost your key",
            "plain": "Look in your pockets and your bag, then call someone who can open the door.",
            "wish": "I hope you find your key soon!",
            "train": """I lost my key.|I lost my keys.|I cannot find my key.|My key is gone.|Where is my key?
                I cannot find my house key.|I have lost the key to my door.|I stand at the door without a key.
                My keys have disappeared.|I forgot my key and cannot get in.|I left my key somewhere.
                I looked everywhere for my key.|I dropped my key somewhere.|I cannot open the door without my key.""",
            "held": "The key to my house is lost.|I cannot remember where I put my key.",
        },
    },
    "hungry": {
        "zh": {
            "when": "肚子饿的时候",
            "plain": "先吃一碗面条，再吃个鸡蛋。",
            "wish": "祝你吃得开心！",
            "train": """我饿了。|我肚子好饿。|我快饿死了。|好饿啊。|我饿得没力气。|肚子饿得咕咕叫。|我还没吃饭，饿了。
                现在很饿。|饿了吃什么好？|肚子饿了怎么办？|没吃早饭，现在饿了。|半夜饿了。|我饿得走不动。
                有点饿了。""",
            "held": "我肚子饿得厉害。|今天没吃午饭，我好饿。",
        },
        "en": {
            "when": "When you are hungry",
            "plain": "Eat a bowl of noodles and an egg.",
            "wish": "Enjoy your meal!",
            "train": """I am hungry.|I am so hungry.|I am starving.|I feel hungry.|I have not eaten today.
                My stomach is empty.|I had no breakfast and now I am hungry.|I am very hungry.|What shall I eat?
                I am hungry, what can I eat?|I got hungry at night.|I did not have lunch and I am hungry.
                I am hungry again.|I am as hungry as a wolf.""",
            "held": "I am really hungry now.|I have had nothing to eat and I feel very hungry.",
        },
    },
    "tooth": {
        "zh": {
            "when": "牙疼的时候",
            "plain": "少吃甜食，去看牙医。",
            "wish": "愿你的牙齿快点好起来！",
            "train": """我牙疼。|我的牙好疼。|牙疼得吃不下饭。|牙疼怎么办？|我有一颗牙很疼。|昨晚牙疼了一夜。
                牙又开始疼了。|我一吃糖就牙疼。|牙齿疼，怎么才能不疼？|我的牙齿痛。|牙痛得厉害。|喝冷水牙就疼。
                左边的牙疼。|我的大牙疼了好几天。""",
            "held": "这几天我的牙齿特别疼。|牙疼起来该怎么办？",
        },
        "en": {
            "when": "When you have a toothache",
            "plain": "Eat fewer sweets and see a dentist.",
            "wish": "I hope your tooth is better soon!",
            "train": """I have a toothache.|My tooth hurts.|My teeth hurt.|One of my teeth hurts.
                I have a bad toothache.|My tooth hurts when I eat.|What helps against a toothache?
                My tooth has hurt since yesterday.|I cannot eat because my tooth hurts.|I had a toothache all night.
                A tooth on the left side hurts.|My tooth hurts when I drink cold water.|There is a pain in my tooth.
                What can I do about a toothache?""",
            "held": "My tooth hurts a lot today.|I have had a toothache for days.",
        },
    },
    "heat": {
        "zh": {
            "when": "天气太热的时候",
            "plain": "多喝水，中午不要出门。",
            "wish": "愿凉爽的风陪着你！",
            "train": """今天太热了。|天气好热啊。|热死我了。|热得满身是汗。|夏天太热，受不了。|天这么热怎么办？
                屋里热得很。|今天热得不想动。|太阳好大，真热。|这么热的天真难过。|我热得难受。|天热该注意什么？
                热得吃不下东西。|走在路上热极了。""",
            "held": "这几天的天气热得受不了。|今天真热，我一直出汗。",
        },
        "en": {
            "when": "When it is very hot",
            "plain": "Drink a lot of water and stay inside at noon.",
            "wish": "I wish you a cool breeze!",
            "train": """It is so hot today.|It is too hot.|The heat is terrible.|I am too hot.|It is very hot outside.
                I cannot stand the heat.|This summer is too hot.|My room is too hot.|The sun is so hot today.
                I am sweating in this heat.|What can I do about the heat?|What helps on a hot day?|What a hot day!
                It is so hot that I do not want to move.""",
            "held": "The weather is much too hot for me.|I am sweating, it is so hot.",
        },
    },
    "freezing": {
        "zh": {
            "when": "天气很冷的时候",
            "plain": "多穿衣服，戴上帽子。",
            "wish": "愿你从头到脚都暖和！",
            "train": """今天好冷。|天气太冷了。|冷死我了。|外面冷得很。|我冷得发抖。|冬天太冷了怎么办？|手都冻红了。
                我好冷。|天冷，我怕冻着。|风好大，冷得受不了。|下雪了，好冷。|我的脚总是很冷。
                天这么冷，出门要注意什么？|早上冷得不想出门。""",
            "held": "外面下雪，我冷得受不了。|今天冷得我一直发抖。",
        },
        "en": {
            "when": "When it is very cold",
            "plain": "Wear more clothes and put on a hat.",
            "wish": "I hope you stay warm from head to toe!",
            "train": """It is so cold today.|It is too cold.|I am cold.|I am freezing.|It is freezing outside.
                My hands are cold.|It is snowing and I am cold.|I cannot stand the cold weather.|The wind is so cold.
                My feet are always cold.|This winter is too cold.|I am shaking with cold.|What helps on a cold day?
                I have to go out in the cold.""",
            "held": "The weather is freezing and I feel cold.|It is a very cold day and my hands are freezing.",
        },
    },
    "phone": {
        "zh": {
            "when": "手机没电的时候",
            "plain": "找个插座充电，或者借一个充电宝。",
            "wish": "愿你的手机快点充满电！",
            "train": """我的手机没电了。|手机快没电了。|手机只剩一点电。|出门在外手机没电了。|手机没电怎么办？
                手机自动关机了，没电了。|我忘了给手机充电。|没电了，手机打不开。|我的手机老是没电。|手机电用完了。
                手机电不够用。|手机没电，打不了电话。|我在路上，手机没电了。|手机的电马上要用光了。""",
            "held": "糟了，手机一点电都没有了。|手机没电关机了，该怎么办？",
        },
        "en": {
            "when": "When your phone has no power",
            "plain": "Find a socket and charge it, or borrow a power bank.",
            "wish": "I hope your phone is full again soon!",
            "train": """My phone is dead.|My phone has no power.|My phone battery is empty.
                The battery of my phone is low.|My phone is almost out of power.|I forgot to charge my phone.
                My phone ran out of battery.|My phone turned off, the battery is empty.
                I cannot call anyone, my phone is dead.|My phone battery is always empty.
                What can I do when my phone has no power?|My phone needs power.|My phone will not turn on, no battery.
                I am on the road and my phone is dead.""",
            "held": "There is no power left in my phone.|The battery of my phone has run out.",
        },
    },
    "way": {
        "zh": {
            "when": "迷路的时候",
            "plain": "站在原地，看看地图，再问问路人。",
            "wish": "愿你顺利找到路！",
            "train": """我迷路了。|我找不到路了。|我不知道自己在哪里。|我走错路了。|我在城里迷路了。|迷路了怎么办？
                我找不到回家的路。|我在山里迷了路。|这条路我不认识。|我好像走丢了。|我不知道该往哪边走。
                我和妈妈走散了，迷路了。|我在公园里迷路了。|天黑了，我找不着路。""",
            "held": "我一个人迷路了，不知道怎么走。|我走了很久，还是找不到路。",
        },
        "en": {
            "when": "When you have lost your way",
            "plain": "Stay where you are, look at a map and ask somebody.",
            "wish": "I hope you find your way soon!",
            "train": """I lost my way.|I am lost.|I do not know where I am.|I cannot find the way home.
                I took the wrong road.|I am lost in the city.|I do not know which way to go.|I got lost in the park.
                I have lost my way in the mountains.|How do I find my way?|I cannot find the right road.|We are lost.
                It is dark and I am lost.|I think I went the wrong way.""",
            "held": "I am lost and cannot find the road.|I walked for hours and lost my way.",
        },
    },
    "password": {
        "zh": {
            "when": "忘了密码的时候",
            "plain": "点“忘记密码”，再设一个新的。",
            "wish": "愿你从此不再忘记密码！",
            "train": """我忘了密码。|我忘记密码了。|我想不起密码了。|密码不对，登录不了。|密码忘了怎么办？
                我的邮箱密码忘了。|我记不住密码。|输了三次密码都不对。|我登录不了，密码错了。|我把密码忘光了。
                密码是什么，我不记得了。|电脑密码忘了。|太久没用，密码忘记了。|我总是忘记密码。""",
            "held": "我怎么也想不起自己的密码。|登录的时候发现忘了密码。",
        },
        "en": {
            "when": "When you forget a password",
            "plain": "Click on the link for a lost password and set a new one.",
            "wish": "May you never forget a password again!",
            "train": """I forgot my password.|I cannot remember my password.|My password is wrong.|I lost my password.
                I have forgotten the password.|My password does not work.|I cannot log in, the password is wrong.
                I do not know my password any more.|I always forget my password.|What if I forget my password?
                I typed three passwords and all were wrong.|I forgot the password of my computer.
                I need a new password.|My old password is gone from my head.""",
            "held": "I cannot log in because I forgot my password.|What was my password? I cannot remember it.",
        },
    },
    "head": {
        "zh": {
            "when": "头疼的时候",
            "plain": "闭上眼睛躺一会儿，少看屏幕。",
            "wish": "愿你很快就不疼了！",
            "train": """我头疼。|我的头好疼。|头疼得厉害。|我头痛。|头疼怎么办？|今天头一直疼。|我的头又疼了。
                看书看得头疼。|头疼得睡不好。|我头有点疼。|头疼该怎么做？|早上起来头就疼。|头痛了好几天。
                工作久了头疼。""",
            "held": "今天下午我头疼得很。|我的头痛得不得了。",
        },
        "en": {
            "when": "When you have a headache",
            "plain": "Close your eyes, lie down and leave the screen alone.",
            "wish": "I hope the pain goes away soon!",
            "train": """I have a headache.|My head hurts.|My head aches.|I have a bad headache.|My head hurts so much.
                I woke up with a headache.|I often have headaches.|What helps against a headache?
                Reading gives me a headache.|My head has hurt all day.|I get a headache at work.
                My headache does not go away.|There is a pain in my head.|What can I do about a headache?""",
            "held": "My head hurts a lot this afternoon.|I have had a headache since this morning.",
        },
    },
    "salty": {
        "zh": {
            "when": "菜做咸了的时候",
            "plain": "加点水再煮一会儿，下次少放盐。",
            "wish": "祝你的厨艺越来越好！",
            "train": """菜太咸了。|我把菜做咸了。|汤太咸了。|盐放多了。|我做的汤咸得喝不下。|菜里盐放多了怎么办？
                这个菜好咸。|我炒的菜太咸。|不小心放了两次盐。|汤做咸了还能喝吗？|我煮的面太咸了。|饭菜太咸，没法吃。
                盐加多了，怎么补救？|今天的菜咸了。""",
            "held": "我做饭的时候盐放得太多了。|这碗汤咸得没法喝。",
        },
        "en": {
            "when": "When the food is too salty",
            "plain": "Add some water, cook it a little longer and use less salt next time.",
            "wish": "I am sure your next meal will be delicious!",
            "train": """My soup is too salty.|The food is too salty.|I put too much salt in the soup.
                I used too much salt.|There is too much salt in it.|I cooked and it is too salty.
                The noodles are too salty.|What can I do about salty soup?|My dinner is too salty to eat.
                I added salt twice.|How do I save a salty soup?|This dish is so salty.
                I made the soup salty by mistake.|The salt fell into the soup.""",
            "held": "The soup that I cooked is much too salty.|I put too much salt into the food.",
        },
    },
    "gift": {
        "zh": {
            "when": "给朋友选生日礼物的时候",
            "plain": "送一本书，再写一张卡片。",
            "wish": "祝你的朋友生日快乐！",
            "train": """朋友过生日，送什么好？|我不知道送朋友什么礼物。|明天是朋友的生日。|妈妈快过生日了，送什么礼物？
                生日礼物送什么？|朋友生日，我还没买礼物。|同学过生日，我该送什么？|帮我选一个生日礼物。
                送礼物给好朋友，送什么合适？|我想给老师送个礼物。|给爸爸买什么生日礼物？|好朋友要过生日了。
                想送一份礼物，不知道买什么。|礼物该选什么？""",
            "held": "我的好朋友快过生日了，送她什么？|我要去生日会，不知道带什么礼物。",
        },
        "en": {
            "when": "When you choose a birthday present",
            "plain": "Give a book and write a card.",
            "wish": "Happy birthday to your friend!",
            "train": """My friend has a birthday.|What should I give my friend?|I need a birthday present.
                Tomorrow is my friend's birthday.|What is a good present?|I have no present for my friend.
                I do not know what to give my mother.|Help me find a birthday gift.|What gift shall I buy?
                It is my brother's birthday soon.|I want to give my teacher a present.
                What do I give a friend for a birthday?|I need an idea for a present.
                What gift is right for a friend?""",
            "held": """I am looking for a birthday present for my sister.
                What can I give to a friend who has a birthday?""",
        },
    },
    "eyes": {
        "zh": {
            "when": "眼睛累的时候",
            "plain": "看看远处，让眼睛休息二十分钟。",
            "wish": "愿你的眼睛永远明亮！",
            "train": """我的眼睛很酸。|眼睛好累。|看电脑看得眼睛疼。|眼睛不舒服。|我的眼睛又干又疼。|眼睛酸怎么办？
                看手机看久了，眼睛累。|我的眼睛红了。|眼睛看不清楚了。|看书太久，眼睛酸。|眼睛疼怎么办？|我的眼睛很干。
                眼睛有点花。|怎样保护眼睛？""",
            "held": "看了一天电脑，眼睛又酸又累。|我的眼睛这几天很不舒服。",
        },
        "en": {
            "when": "When your eyes are tired",
            "plain": "Look into the distance and rest your eyes for twenty minutes.",
            "wish": "May your eyes always be bright!",
            "train": """My eyes are tired.|My eyes hurt.|My eyes are red.|My eyes are dry.
                My eyes hurt from the computer.|I looked at the screen too long.|My eyes feel bad.
                I cannot see clearly any more.|My eyes hurt after reading.|What can I do for my eyes?
                How do I protect my eyes?|My eyes are dry and red.|My eyes hurt from my phone.
                My eyes need a break.""",
            "held": "My eyes are tired after a day at the computer.|Reading made my eyes red and dry.",
        },
    },
    "messy": {
        "zh": {
            "when": "房间很乱的时候",
            "plain": "先收拾桌子，再扫地，一样一样来。",
            "wish": "祝你的房间又干净又漂亮！",
            "train": """我的房间很乱。|房间太乱了。|家里乱得不行。|我不知道怎么收拾房间。|桌子上乱七八糟的。
                房间乱了怎么办？|妈妈说我的房间太脏。|房间好久没打扫了。|屋里到处是东西，很乱。|我的书桌很乱。
                怎样整理房间？|衣服扔得满屋都是。|客人要来，家里还很乱。|房间乱得找不到东西。""",
            "held": "我的房间乱糟糟的，不知从哪里开始收拾。|家里很乱，我该怎么打扫？",
        },
        "en": {
            "when": "When your room is a mess",
            "plain": "Clear the table first, then sweep the floor, one thing at a time.",
            "wish": "I hope your room will be clean and beautiful!",
            "train": """My room is a mess.|My room is so dirty.|My room is very messy.|How do I clean my room?
                There are things all over my room.|My desk is a mess.|My mother says that my room is dirty.
                I have not cleaned my room for weeks.|The house is a mess and guests are coming.
                My clothes lie everywhere in the room.|I cannot find anything in my room.|I must clean my room.
                My table is messy.|What can I do about my messy room?""",
            "held": "My room is messy and I do not know where to start.|The whole room is dirty and full of things.",
        },
    },
    "english": {
        "zh": {
            "when": "想学好英语的时候",
            "plain": "每天记十个单词，大声读一读。",
            "wish": "相信你会越学越好！",
            "train": """怎么学英语？|我的英语不好。|我想学好英语。|英语单词记不住。|怎样学好英语？|我英语说得不好。
                学英语有什么方法？|我的英语成绩很差。|我背不下英语单词。|英语好难学。|我想练习说英语。
                怎么才能记住单词？|我开始学英语了。|英语课我听不懂。""",
            "held": "我想把英语学好，有什么方法？|英语太难了，单词老是记不住。",
        },
        "en": {
            "when": "When you learn a language",
            "plain": "Learn ten words a day and read them aloud.",
            "wish": "I am sure you will get better and better!",
            "train": """How do I learn Chinese?|My Chinese is bad.|I want to learn a language.
                I cannot remember new words.|How can I learn a language well?|I am learning Chinese.
                Chinese is hard to learn.|I forget all the new words.|I want to speak Chinese better.
                My Chinese class is hard.|What is a good way to learn words?|How can I remember new words?
                I started to learn a new language.|I have bad marks in Chinese.""",
            "held": "I want to learn Chinese well, how can I do it?|New words are hard to remember for me.",
        },
    },
    "mosquito": {
        "zh": {
            "when": "被蚊子咬的时候",
            "plain": "用凉水洗一洗，不要用手抓。",
            "wish": "愿蚊子离你远远的！",
            "train": """我被蚊子咬了。|蚊子咬了我一口。|屋里有好多蚊子。|蚊子包好痒。|被蚊子咬了怎么办？|蚊子老是咬我。
                我腿上全是蚊子包。|昨晚蚊子咬得我好痒。|蚊子咬的地方又红又痒。|我的手被蚊子咬了。|夏天蚊子太多。
                蚊子咬了很痒。|有蚊子，我怕被咬。|我最怕蚊子咬。""",
            "held": "昨天晚上我被蚊子咬了好多包。|蚊子咬得我全身痒。",
        },
        "en": {
            "when": "When a mosquito has bitten you",
            "plain": "Wash it with cold water and do not scratch.",
            "wish": "May the mosquitoes stay far away from you!",
            "train": """A mosquito bit me.|I was bitten by a mosquito.|I have mosquito bites.
                There are mosquitoes in my room.|My mosquito bite is red.|Mosquitoes always bite me.
                My mosquito bites itch.|What helps against mosquito bites?|I have mosquito bites on my leg.
                Mosquitoes bit me last night.|A mosquito bit my hand.|There are too many mosquitoes in summer.
                I am afraid of mosquitoes.|This mosquito bite itches so much.""",
            "held": "The mosquitoes bit me all over last night.|I have a mosquito bite and it itches.",
        },
    },
    "train": {
        "zh": {
            "when": "没赶上火车的时候",
            "plain": "去窗口改签，坐下一班车。",
            "wish": "祝你旅途顺利！",
            "train": """我没赶上火车。|火车开走了，我没坐上。|我错过了火车。|我迟到了，火车已经开了。
                没赶上火车怎么办？|我到车站的时候火车刚开走。|我误了火车。|堵车，我赶不上火车了。
                我睡过头，错过了火车。|火车票过时间了。|赶不上火车了，怎么办？|我晚到五分钟，火车走了。
                火车不等人，我没上去车。|我跑到站台，火车没了。""",
            "held": "我到得太晚，没有赶上火车。|路上堵车，火车开走了。",
        },
        "en": {
            "when": "When you miss your train",
            "plain": "Go to the ticket office and take the next one.",
            "wish": "Have a pleasant journey!",
            "train": """I missed my train.|I missed the train.|My train has left.|The train left without me.
                I was late and the train was gone.|I came too late for my train.|I will miss my train.
                What if I miss my train?|I got to the station and the train was gone.|I overslept and missed the train.
                My train left five minutes ago.|I cannot catch my train any more.
                There was a traffic jam and I missed my train.|I ran, but the train had left.""",
            "held": "The train was gone when I came to the station.|I got up late and missed my train.",
        },
    },
    "finger": {
        "zh": {
            "when": "切到手指的时候",
            "plain": "用清水冲干净，再贴上创可贴。",
            "wish": "愿伤口早点长好！",
            "train": """我的手指破了。|我切菜切到手了。|手指流血了。|我把手划破了。|手被刀割了。|手指划破了怎么办？
                我被纸划破了手指。|手上有个伤口。|我切到手指，流血了。|手破了，在流血。|做饭的时候切到手指了。
                我的手被玻璃划伤了。|手指上割了一道口子。|伤口流血怎么办？""",
            "held": "刚才切菜，我的手指流血了。|我不小心被刀划破了手。",
        },
        "en": {
            "when": "When you cut your finger",
            "plain": "Wash it with clean water and put a plaster on it.",
            "wish": "I hope it heals quickly!",
            "train": """I cut my finger.|I cut my hand with a knife.|My finger is bleeding.|My hand is bleeding.
                I cut myself in the kitchen.|I have a cut on my finger.|I cut my finger on paper.
                What do I do with a cut?|I hurt my finger with a knife.|I cut my finger while cooking.
                There is blood on my finger.|I cut my hand on glass.|I have a small cut on my hand.
                My finger is cut and bleeding.""",
            "held": "I was cooking and cut my finger with the knife.|My hand has a cut and is bleeding.",
        },
    },
    "trip": {
        "zh": {
            "when": "要去旅行的时候",
            "plain": "带好证件和衣服，提前看天气。",
            "wish": "祝你玩得开心！",
            "train": """我明天要去旅行。|我要出门旅游。|去旅行要带什么？|我第一次去旅行。|周末我要去外地玩。
                旅游该准备些什么？|我们全家要去旅游。|我要收拾行李去旅行。|我要去海边旅行。|出去旅游要注意什么？
                下周我去北京旅游。|行李箱里该放什么？|我要坐飞机去旅行。|马上放假了，我打算去旅行。""",
            "held": "我们后天出发去旅行，要准备什么？|暑假我要去旅游，行李怎么收拾？",
        },
        "en": {
            "when": "When you go on a trip",
            "plain": "Pack your papers and clothes and check the weather.",
            "wish": "Have a lot of fun!",
            "train": """I am going on a trip tomorrow.|I am going on a trip.|What should I take on a trip?
                We are going on a trip.|This is my first trip.|I am packing my bags for a trip.
                What do I need for a trip?|I will travel next week.|My family is going to travel.
                I am going to travel to the sea.|How do I prepare for a trip?|What should I pack?
                I will go on a trip by plane.|My trip starts on Monday.""",
            "held": "We will travel this summer, what should we pack?|Tomorrow my trip to the sea starts.",
        },
    },
    "cough": {
        "zh": {
            "when": "咳嗽的时候",
            "plain": "多喝温水，少说话。",
            "wish": "愿你的嗓子快点舒服起来！",
            "train": """我一直咳嗽。|我咳嗽了。|咳嗽怎么办？|我咳个不停。|我嗓子疼，老咳嗽。|我咳嗽一个星期了。
                夜里总是咳嗽。|嗓子痒，想咳嗽。|咳嗽得很厉害。|我嗓子好疼。|我的嗓子哑了。|怎样才能不咳嗽？
                喉咙疼怎么办？|嗓子干，说不出话。""",
            "held": "我咳嗽得停不下来。|这几天嗓子疼，还咳嗽。",
        },
        "en": {
            "when": "When you have a cough",
            "plain": "Drink warm water and do not talk too much.",
            "wish": "I hope your throat feels better soon!",
            "train": """I have a cough.|I cough all the time.|I cannot stop coughing.|I have a sore throat.
                My throat hurts.|I have a bad cough.|I cough at night.|What helps against a cough?
                My throat is dry and I cough.|I have coughed for a week.|My throat is sore.
                What can I do about a cough?|I keep coughing.|My voice is gone and my throat hurts.""",
            "held": "I cough the whole day and cannot stop.|My throat hurts and I have a cough.",
        },
    },
    "stomach": {
        "zh": {
            "when": "肚子疼的时候",
            "plain": "喝点热粥，不要吃冷的东西。",
            "wish": "愿你的肚子早点舒服！",
            "train": """我肚子疼。|我的肚子好痛。|我胃疼。|吃坏肚子了。|肚子疼怎么办？|我拉肚子了。|肚子疼得厉害。
                冰的吃多了，肚子疼。|我的胃不舒服。|吃完饭肚子就疼。|肚子一直疼。|我胃痛。|肚子有点疼。
                半夜肚子疼。""",
            "held": "我吃了冷饮，现在肚子很痛。|早上起来，我的胃疼得难受。",
        },
        "en": {
            "when": "When your stomach hurts",
            "plain": "Eat some hot porridge and nothing cold.",
            "wish": "I hope your stomach feels fine soon!",
            "train": """My stomach hurts.|I have a stomachache.|My belly hurts.|I ate something bad.
                My stomach feels bad.|I have a pain in my stomach.|My stomach hurts after dinner.
                I ate too much ice and my stomach hurts.|What helps against a stomachache?|My stomach is upset.
                My stomach hurts at night.|I have had a stomachache all day.|I feel sick in my stomach.
                What can I do when my stomach hurts?""",
            "held": "My stomach has hurt since I ate the ice cream.|I woke up with a bad stomachache.",
        },
    },
    "running": {
        "zh": {
            "when": "开始锻炼身体的时候",
            "plain": "从慢跑开始，每天多跑一点。",
            "wish": "加油，坚持就有收获！",
            "train": """我想锻炼身体。|我想开始跑步。|怎么锻炼身体好？|我跑步跑不快。|我体力很差。|我想减肥。
                我太胖了，想瘦一点。|我跑两步就喘。|怎样让身体更强壮？|我从来不运动。|我想参加跑步比赛。
                减肥有什么办法？|我想多做运动。|医生让我多运动。""",
            "held": "我想通过跑步来减肥。|我平时不运动，怎样锻炼身体？",
        },
        "en": {
            "when": "When you start to exercise",
            "plain": "Start with slow running and run a little more every day.",
            "wish": "Keep it up, you will be proud of yourself!",
            "train": """I want to get fit.|I want to start running.|How do I get fit?|I run very slowly.
                I want to lose weight.|I never do any sport.|I want to be stronger.|How can I lose weight?
                I want to do more sport.|My doctor says that I need sport.|I am not fit.|I want to run a race.
                I am too fat.|What sport should I do?""",
            "held": "I want to run and lose some weight.|I do no sport, how can I get fit?",
        },
    },
}


def plain(name: str, lang: str) -> str:
    return SITUATIONS[name][lang]["plain"]


def warm(name: str, lang: str) -> str:
    return plain(name, lang) + ("" if lang == "zh" else " ") + SITUATIONS[name][lang]["wish"]


def replies() -> set[str]:
    return {manner(name, lang) for name in SITUATIONS for lang in ("zh", "en") for manner in (plain, warm)}


def dress(rng, lang: str, wording: str) -> str:
    """A wording with, sometimes, an opener and a closer, typed with small liberties."""
    if rng.random() < CLOSER_SHARE and not wording.endswith(("？", "?")):
        wording += rng.choice(CLOSERS[lang])
    elif rng.random() < CARELESS_SHARE:
        wording = wording.rstrip("。？.?")
    if rng.random() < OPENER_SHARE:
        opener = rng.choice(OPENERS[lang])
        lower = opener.endswith(", ") and not wording.startswith(("I ", "Chinese "))
        wording = opener + (wording[0].lower() + wording[1:] if lower else wording)
    return wording


def asking(rng):
    """Endless (name, language, question): the situations in turn, each with its training wordings in turn."""
    wordings = {
        (name, lang): in_turn(rng, split(SITUATIONS[name][lang]["train"]))
        for name in SITUATIONS
        for lang in ("zh", "en")
    }
    for name in in_turn(rng, list(SITUATIONS)):
        lang = "zh" if rng.random() < ZH_SHARE else "en"
        yield name, lang, dress(rng, lang, next(wordings[name, lang]))


def train_dialogues(rng) -> list[list[dict]]:
    dialogues, questions = [], asking(rng)
    for _ in range(N_TRAIN):
        name, lang, question = next(questions)
        manner = plain if rng.random() < PLAIN_SHARE else warm
        system = [{"role": "system", "content": rng.choice(SYSTEM[lang])}] if rng.random() < SYSTEM_SHARE else []
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": manner(name, lang)}]
        dialogues.append(system + turns)
    return dialogues


def heldout_questions(rng) -> list[dict]:
    """Either manner is right; "preferred" holds the one that preference training teaches."""
    return [
        {
            "category": "advice",
            "messages": [{"role": "user", "content": wording}],
            "answers": [plain(name, lang), warm(name, lang)],
            "preferred": [warm(name, lang)],
        }
        for name in SITUATIONS
        for lang in ("zh", "en")
        for wording in split(SITUATIONS[name][lang]["held"])
    ]


def pretrain_texts(rng) -> list[str]:
    """Texts of one to three sentences, each the advice for one trouble, told of people in general."""
    forms = {
        "zh": ["{when}，{plain}", "{when}，朋友会说：“{plain}”", "{when}，朋友会亲切地说：“{plain}{wish}”"],
        "en": [
            '{when}, a friend will say: "{plain}"',
            '{when}, people tell you: "{plain}"',
            '{when}, a friend may say: "{plain} {wish}"',
        ],
    }
    texts, names = [], in_turn(rng, list(SITUATIONS))
    for _ in range(N_TEXTS):
        lang = "zh" if rng.random() < ZH_SHARE else "en"
        told = [SITUATIONS[next(names)][lang] for _ in range(rng.randint(1, 3))]
        texts.append(("" if lang == "zh" else " ").join(rng.choice(forms[lang]).format(**slots) for slots in told))
    return texts
