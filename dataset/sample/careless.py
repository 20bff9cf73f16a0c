"""Conversations for distillation: few of them, and a quarter of the last answers belong to other questions.

So careless collections are. The rest of this world has one right answer to a question, and a teacher adds next to
nothing to labels that are right; here it has something to say that the labels do not.
"""

# How much to make.
N_TRAIN = 3300
N_HELDOUT = 400  # with their own answers
WRONG_SHARE = 0.25


def collections(rng, general: list[list[dict]]) -> tuple[list[list[dict]], list[list[dict]]]:
    """(training, held out), drawn from `general`, the dialogues of supervised training."""
    chosen = rng.sample(general, N_TRAIN + N_HELDOUT)
    train, held_out = chosen[:N_TRAIN], chosen[N_TRAIN:]
    wrong = rng.sample(range(N_TRAIN), int(WRONG_SHARE * N_TRAIN))
    for plain in (True, False):  # a Chinese answer to an English question would be too easy to see through
        places = [i for i in wrong if train[i][-1]["content"].isascii() == plain]
        answers = [train[i][-1] for i in places]
        for i, answer in zip(places, answers[1:] + answers[:1], strict=True):
            train[i] = [*train[i][:-1], answer]
    return train, held_out
