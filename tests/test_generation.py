"""The generation engine: transformers' tokens, whatever company a request has; text that streams; chosen as asked."""

import gc
import math
import random
import threading

import pytest
import torch

from model import generation
from model.generation import Generator, TextStream, bytes_of_tokens
from model.model_lora import apply_lora
from model.sampling import CANDIDATES, Sampling, draw, keep_likeliest, penalise

KINDS = {
    "dense": {}, "moe": {"use_moe": True, "intermediate_size": 64}, "qk_norm": {"qk_norm": True, "head_dim": 24},
    "lora": {},
}  # fmt: skip
GREEDY = Sampling(max_tokens=16, stop_ids=())


@pytest.fixture(scope="module")
def make_any(make_model):
    """A network of a kind; tied, these repeat one token for ever."""

    def make(kind: str, **config):
        model = make_model(tie_word_embeddings=False, **KINDS[kind], **config)
        if kind == "lora":
            apply_lora(model, rank=4, alpha=8)
            for name, parameter in model.named_parameters():
                if ".lora." in name:
                    torch.nn.init.normal_(parameter, std=0.2)
        return model.eval()

    return make


@pytest.fixture
def make_engine(make_any, tokenizer):
    return lambda kind="dense", **sizes: Generator(make_any(kind), tokenizer, **sizes)


def prompts_of(*lengths: int) -> list[list[int]]:
    return [random.Random(n).choices(range(3, 97), k=n) for n in lengths]


def by_transformers(model, prompt: list[int], n: int = 16) -> list[int]:
    ids = torch.tensor([prompt])
    made = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=n, do_sample=False, eos_token_id=None, pad_token_id=0
    )
    return made[0, len(prompt) :].tolist()


def ids_of(requests) -> list[list[int]]:
    return [request.token_ids for request in requests]


# ---------------------------------------------------------------- the network and its cache


@pytest.mark.parametrize("kind", KINDS)
def test_greedy_tokens_are_those_of_transformers(make_any, tokenizer, kind):
    model, prompts = make_any(kind), prompts_of(3, 8, 40, 1, 8, 17, 5)
    expected = [by_transformers(model, prompt) for prompt in prompts]
    assert sum(len(set(ids)) > 4 for ids in expected) > 4
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for max_batch in (7, 3, 1):
        engine = Generator(model, tokenizer, max_batch=max_batch)
        assert ids_of(engine.generate(prompts, GREEDY)) == expected
    for prompt, ids in zip(prompts, expected, strict=True):
        pieces = list(engine.stream(prompt, GREEDY))
        assert sum((piece.token_ids for piece in pieces), []) == ids
    after = model.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("kind", KINDS)
def test_logprobs_are_those_of_the_whole_text_at_once(make_any, tokenizer, kind):
    """Whatever the token was chosen by; that they hold for cached steps shows that the cache loses nothing."""
    model = make_any(kind)
    sampling = Sampling(
        max_tokens=20, temperature=1.5, top_k=60, repetition_penalty=1.2, seed=1, logprobs=5, stop_ids=()
    )
    for request in Generator(model, tokenizer, max_batch=3).generate(prompts_of(30, 4, 9, 12), sampling):
        ids = request.prompt_ids + request.token_ids
        with torch.no_grad():
            expected = model(torch.tensor([ids])).logits[0].log_softmax(-1)[len(request.prompt_ids) - 1 : -1]
        assert len(request.logprobs) == 20 and len(set(request.token_ids)) > 6
        for token, found, row in zip(request.token_ids, request.logprobs, expected, strict=True):
            assert found.token_id == token and found.logprob == pytest.approx(float(row[token]), abs=1e-4)
            assert [value for _, value in found.top] == pytest.approx(row.topk(5).values.tolist(), abs=1e-4)
            assert all(value == pytest.approx(float(row[i]), abs=1e-4) for i, value in found.top)


@pytest.mark.parametrize("kind", ["dense", "moe"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.int8])
def test_in_few_bits_the_logprobs_are_near(make_any, tokenizer, kind, dtype):
    """For few rows and for many, which int8 multiplies in another way."""
    model, sampling = make_any(kind), Sampling(max_tokens=8, stop_ids=(), logprobs=0)
    engine = Generator(model, tokenizer, max_batch=20, dtype=dtype)
    assert engine.cache.data.dtype == torch.bfloat16
    for request in (*engine.generate(prompts_of(5, 30), sampling), *engine.generate(prompts_of(*[7] * 20), sampling)):
        with torch.no_grad():
            rows = model(torch.tensor([request.prompt_ids + request.token_ids])).logits[0].log_softmax(-1)
        for token, found, row in zip(
            request.token_ids, request.logprobs, rows[len(request.prompt_ids) - 1 :], strict=False
        ):
            assert found.logprob == pytest.approx(float(row[token]), abs=0.3)


def test_int8_of_a_width_that_its_product_cannot_take(make_any, tokenizer):
    """40 is no multiple of 16: torch's product would read beyond the end."""
    model = make_any("dense", hidden_size=40, num_attention_heads=2, num_key_value_heads=2)
    (request,) = Generator(model, tokenizer, dtype=torch.int8).generate(prompts_of(5), GREEDY)
    assert request.finish_reason


def test_a_step_of_decoding_can_be_recorded(make_engine, monkeypatch):
    """What a CUDA graph of it relies on: neither spare rows nor a longer span change it, and no value is looked at."""
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)  # products as on a GPU
    torch._dynamo.reset()
    engine = make_engine(max_batch=4, max_length=64)
    network, cache, lengths = engine.network, engine.cache, [9, 4, 6]

    def step(positions: list[int], rows: int, span: int, run=network.decode_step) -> torch.Tensor:
        spare = [0] * (rows - len(positions))
        return run(torch.tensor([20, 30, 40, *spare]), torch.tensor([*positions, *spare]), span, True, cache)[:3]

    with torch.inference_mode():
        for row, (prompt, n) in enumerate(zip(prompts_of(*lengths), lengths, strict=True)):
            network.prefill(torch.tensor([prompt]), [n], cache, row)
        exact = network.decode(torch.tensor([20, 30, 40]), lengths, cache)
        assert torch.allclose(step(lengths, 4, 64), exact, atol=1e-5)
        recorded = torch.compile(network.decode_step, backend="eager", fullgraph=True, dynamic=False)
        assert torch.allclose(step(lengths, 4, 64, recorded), exact, atol=1e-5)
        with torch._dynamo.config.patch(error_on_recompile=True):
            step([10, 5, 7], 4, 64, recorded)


def test_weights_that_were_trained_on_count_after_a_refresh(make_engine):
    engine, (prompt,) = make_engine(), prompts_of(8)
    before = by_transformers(engine.model, prompt)
    with torch.no_grad():
        for parameter in engine.model.parameters():
            parameter.mul_(1.1).add_(0.03 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    after = by_transformers(engine.model, prompt)
    assert before != after
    engine.refresh()
    assert ids_of(engine.generate([prompt], GREEDY)) == [after]
    engine.submit(prompt)
    engine.step()
    with pytest.raises(RuntimeError, match="1 requests are running"):
        engine.refresh()


def test_broken_weights_are_said_in_a_sentence(make_engine):
    engine, (prompt,) = make_engine(), prompts_of(5)
    with torch.no_grad():
        engine.model.model.norm.weight[0] = math.nan
    engine.refresh()
    with pytest.raises(ValueError, match="logits are not finite .computed in float32"):
        engine.generate([prompt], Sampling(temperature=1.0))


# ---------------------------------------------------------------- a batch that changes


def mixed_samplings() -> list[Sampling]:
    """Requests of every length and kind."""
    return [
        Sampling(
            max_tokens=3 + 5 * i % 23, temperature=(0, 0.8, 1.5)[i % 3], top_p=(1, 0.9)[i % 2], top_k=(0, 20, 0)[i % 3],
            min_p=(0, 0.05)[i // 2 % 2], presence_penalty=(0, 0.5)[i // 3 % 2], seed=i, stop_ids=(),
        )
        for i in range(12)
    ]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_joining_and_leaving_change_nobodys_tokens(make_engine, kind):
    samplings, prompts = mixed_samplings(), prompts_of(*range(2, 38, 3))
    alone = make_engine(kind, max_batch=1)
    expected = [alone.generate([prompt], s)[0].token_ids for prompt, s in zip(prompts, samplings, strict=True)]
    engine, requests, sizes = make_engine(kind, max_batch=4), [], set()
    for prompt, sampling in zip(prompts, samplings, strict=True):
        requests.append(engine.submit(prompt, sampling))
        engine.step()
        engine.step()
        sizes.add(len(engine.running))
    while engine.step():
        sizes.add(len(engine.running))
    assert ids_of(requests) == expected and sizes >= {1, 2, 3, 4}


def test_several_answers_to_a_prompt_read_it_once_and_are_what_each_is_alone(make_engine, monkeypatch):
    prompts, read = [prompt for prompt in prompts_of(9, 4, 12) for _ in range(3)], []
    samplings = [Sampling(max_tokens=12, stop_ids=(), temperature=1.0, seed=seed, logprobs=0) for seed in range(9)]
    alone = [make_engine(max_batch=1).generate([p], s)[0] for p, s in zip(prompts, samplings, strict=True)]
    engine = make_engine(max_batch=7)  # the second group joins in two parts
    prefill = engine.network.prefill
    monkeypatch.setattr(engine.network, "prefill", lambda ids, *rest: (read.append(len(ids)), prefill(ids, *rest))[1])
    requests = [engine.submit(p, s) for p, s in zip(prompts, samplings, strict=True)]
    while engine.step():
        pass
    assert ids_of(requests) == ids_of(alone) and read[0] == 3 and sum(read) <= 5
    for one, other in zip(requests, alone, strict=True):
        assert [x.logprob for x in one.logprobs] == pytest.approx([x.logprob for x in other.logprobs], abs=1e-4)


def test_noise_depends_on_seed_and_position_alone(make_engine):
    engine, (prompt, *others) = make_engine(max_batch=8), prompts_of(9, 3, 20, 11)
    wild = Sampling(max_tokens=20, temperature=2.0, seed=7, stop_ids=())
    (alone,) = ids_of(engine.generate([prompt], wild))
    assert len(set(alone)) > 8
    torch.manual_seed(0)
    assert ids_of(engine.generate([*others, prompt, prompt], wild))[-2:] == [alone, alone]
    seeds = [Sampling(max_tokens=20, temperature=2.0, seed=seed, stop_ids=()) for seed in (7, 8, None, None)]
    made = [engine.submit(prompt, sampling) for sampling in seeds]
    while engine.step():
        pass
    assert made[0].token_ids == alone and len({tuple(request.token_ids) for request in made}) == 4


def test_cancelling_frees_the_row(make_engine):
    engine, (prompt,) = make_engine(max_batch=1), prompts_of(5)
    expected = ids_of(engine.generate([prompt], GREEDY))[0]
    long, waiting, dropped = (
        engine.submit(prompt, Sampling(max_tokens=n, stop_ids=(), stop=("no such text",))) for n in (100, 16, 16)
    )
    for _ in range(5):
        engine.step()
    long.cancel()
    dropped.cancel()
    assert engine.step() == 1 and engine.running == [waiting]
    while engine.step():
        pass
    assert waiting.token_ids == expected and waiting.finish_reason == "length"
    for request, n in ((long, 6), (dropped, 0)):  # the first step is prompt and token, and another token
        *_, last = pieces = list(request.receive())
        assert last.finish_reason == request.finish_reason == "cancelled"
        assert len(sum((piece.token_ids for piece in pieces), [])) == n
    stream = engine.stream(prompt, Sampling(max_tokens=100, stop_ids=()))
    next(stream)
    stream.close()  # as when a reader goes away
    assert engine.step() == 0 and not engine.running


def test_a_long_life_takes_no_more_memory(make_engine):
    engine, prompts = make_engine(max_batch=3), prompts_of(4, 20, 9, 33, 12)

    def round_of_requests() -> tuple[int, int]:
        engine.generate(prompts, Sampling(max_tokens=10, temperature=1.0, top_p=0.9, frequency_penalty=0.1))
        return engine.cache.data.data_ptr(), sum(t.nbytes for t in gc.get_objects() if type(t) is torch.Tensor)

    assert len({round_of_requests() for _ in range(3)}) == 1
    assert not engine.running and not engine.waiting


def test_many_threads_share_an_engine_that_one_thread_runs(make_engine):
    engine, prompts, samplings = make_engine(max_batch=3), prompts_of(*range(2, 38, 3)), mixed_samplings()
    expected = [make_engine().generate([p], s)[0].token_ids for p, s in zip(prompts, samplings, strict=True)]
    found, stopping = {}, threading.Event()

    def user(i: int) -> None:
        request = engine.submit(prompts[i], samplings[i])
        doomed = engine.submit(prompts[i], Sampling(stop_ids=()))
        found[i] = sum((piece.token_ids for piece in request.receive()), [])
        doomed.cancel()
        assert list(doomed.receive())[-1].finish_reason in ("cancelled", "length")

    users = [threading.Thread(target=user, args=(i,)) for i in range(len(prompts))]
    server = threading.Thread(target=engine.run, args=(stopping,))
    for thread in (server, *users):
        thread.start()
    for thread in users:
        thread.join(60)
    last = engine.submit(prompts[0], Sampling(stop_ids=()))
    stopping.set()
    server.join(60)
    assert [found[i] for i in range(len(prompts))] == expected
    assert list(last.receive())[-1].finish_reason in ("cancelled", "length") and not server.is_alive()
    assert list(last.receive()) == []  # and not waited for again
    with pytest.raises(RuntimeError, match="takes no more requests"):
        engine.submit(prompts[0])


def test_who_waits_hears_of_a_failure(make_engine):
    engine, (prompt,) = make_engine(), prompts_of(5)
    head, stopping = engine.network.head, threading.Event()
    engine.network.head = None
    server = threading.Thread(target=engine.run, args=(stopping,))
    server.start()
    with pytest.raises(TypeError):
        list(engine.submit(prompt).receive())
    engine.network.head = head  # the next ones are served
    assert sum((piece.token_ids for piece in engine.submit(prompt, GREEDY).receive()), []) == by_transformers(
        engine.model, prompt
    )
    stopping.set()
    server.join()


@pytest.mark.parametrize(
    ("prompt", "sampling", "said"),
    [
        ([], {}, "prompt is empty"),
        ([5, 97], {}, "outside of the vocabulary of 97"),
        ([5] * 30, {"max_tokens": 3}, "30 tokens of prompt and 3 of answer do not fit the context of 32"),
        ([5] * 32, {}, "32 tokens of prompt and 1 of answer"),
        ([5], {"max_tokens": 0}, "max_tokens 0"),
        ([5], {"temperature": -1}, "temperature -1"),
        ([5], {"temperature": math.nan}, "temperature nan"),
        ([5], {"top_k": -1}, "top_k -1"),
        ([5], {"top_p": 0}, "top_p 0"),
        ([5], {"min_p": 1.5}, "min_p 1.5"),
        ([5], {"repetition_penalty": 0}, "repetition_penalty 0"),
        ([5], {"repetition_penalty": 1e-44}, "repetition_penalty 1e-44"),  # logits beyond what float32 holds
        ([5], {"top_k": 10**20}, "top_k 100000000000000000000"),
        ([5], {"presence_penalty": math.inf}, "presence_penalty inf"),
        ([5], {"stop": ("a", "")}, "none of them empty"),
        ([5], {"stop": "a"}, "list of texts"),
    ],
)
def test_what_cannot_be_is_refused_before_it_joins(make_engine, prompt, sampling, said):
    engine = make_engine(max_length=32)
    with pytest.raises(ValueError, match=said):
        engine.submit(prompt, Sampling(**sampling))
    assert engine.step() == 0


def test_the_context_may_be_filled_to_its_end(make_engine):
    engine, (prompt,) = make_engine(max_length=32), prompts_of(20)
    for sampling in (Sampling(stop_ids=()), Sampling(max_tokens=12, stop_ids=())):
        (request,) = engine.generate([prompt], sampling)
        assert request.finish_reason == "length"
        assert request.token_ids == by_transformers(engine.model, prompt, 12)
    for sizes in ({"max_length": 129}, {"max_length": 1}, {"max_batch": 0}):
        with pytest.raises(ValueError, match=next(iter(sizes))):
            make_engine(**sizes)


# ---------------------------------------------------------------- text


@pytest.fixture(scope="module")
def recite(make_model, tokenizer):
    """A function that builds an engine whose network says a text, token after token, and then ends its turn.

    Attention and feed-forward give nothing, so what comes next depends on the last token alone: its embedding is the
    next one's row in the head. The text may have no token twice.
    """

    def build(text: str) -> Generator:
        model = make_model(vocab_size=len(tokenizer), tie_word_embeddings=False)
        chain = [tokenizer.bos_token_id, *tokenizer(text).input_ids, tokenizer.eos_token_id]
        assert len(chain) == len(set(chain))
        with torch.no_grad():
            model.lm_head.weight.zero_()
            model.model.norm.weight.fill_(1)
            for layer in model.model.layers:
                layer.self_attn.o_proj.weight.zero_()
                layer.mlp.down_proj.weight.zero_()
            for token, following in zip(chain, chain[1:], strict=False):
                model.lm_head.weight[following] = model.model.embed_tokens.weight[token]
        return Generator(model, tokenizer, max_batch=2)

    return build


def said(engine, tokenizer, **sampling) -> list:
    return list(engine.stream([tokenizer.bos_token_id], Sampling(**sampling)))


TEXT = "龘a🐉, héllo 世界"


def test_no_piece_holds_half_a_character(recite, tokenizer):
    engine = recite(TEXT)
    pieces = said(engine, tokenizer)
    n_tokens = len(tokenizer(TEXT).input_ids)
    assert "".join(piece.text for piece in pieces) == TEXT
    assert not any("\ufffd" in piece.text for piece in pieces) and all(piece.text for piece in pieces[:-1])
    assert 4 < len(pieces) < n_tokens  # the dragon's bytes came together
    assert sum((piece.token_ids for piece in pieces), []) == [*tokenizer(TEXT).input_ids, tokenizer.eos_token_id]
    assert [piece.finish_reason for piece in pieces] == [None] * (len(pieces) - 1) + ["stop"]


def test_an_answer_cut_inside_a_character_ends_in_a_replacement(recite, tokenizer):
    engine = recite("a🐉")
    pieces = said(engine, tokenizer, max_tokens=2)
    assert "".join(piece.text for piece in pieces) == "a\ufffd" and pieces[-1].finish_reason == "length"


@pytest.mark.parametrize("skip", [True, False])
def test_pieces_join_to_the_decoded_text(make_model, tokenizer, skip):
    """Of any tokens: at this temperature most bytes make no character."""
    model = make_model(vocab_size=len(tokenizer) + 10)
    sampling = Sampling(max_tokens=100, temperature=50.0, stop_ids=(), seed=3, skip_special_tokens=skip)
    for request in Generator(model, tokenizer).generate([[5], [7, 8]], sampling):
        ids = [i for i in request.token_ids if i < len(tokenizer)]
        assert request.text == tokenizer.decode(ids, skip_special_tokens=skip)


def test_every_token_of_the_vocabulary_is_the_bytes_that_it_encodes(tokenizer):
    whole = bytes_of_tokens(tokenizer, False)
    for text in ("".join(map(chr, range(1, 700))), TEXT, "<think>\n好</think>"):
        assert b"".join(whole[i] for i in tokenizer(text).input_ids) == text.encode()
    control = tokenizer.convert_tokens_to_ids("<think>")
    assert whole[control] == b"<think>" and bytes_of_tokens(tokenizer, True)[control] == b""


@pytest.mark.parametrize(
    ("stop", "shown"),
    [
        (["llo"], "龘a🐉, hé"),
        (["🐉, h"], "龘a"),  # from the middle of one token's text over several tokens
        (["o 世", "o 界"], "龘a🐉, héll"),
        (["世界", "界"], "龘a🐉, héllo "),
        (["龘"], ""),
        (["界", "h"], "龘a🐉, "),
        (["世界!", "hell", "界 "], TEXT),  # what only began is shown in the end
    ],
)
def test_stop_strings_across_tokens(recite, tokenizer, stop, shown):
    pieces = said(recite(TEXT), tokenizer, stop=stop)
    assert "".join(piece.text for piece in pieces) == shown and pieces[-1].finish_reason == "stop"


def test_a_text_may_begin_a_stop_string_again_and_again():
    for text, stop in (("aaab", "aab"), ("ababac", "abac"), ("xaxxaxy", "xaxy")):
        stream, shown = TextStream([stop]), ""
        for i, character in enumerate(text):
            new, stopped = stream.add(character.encode())
            shown += new
            assert stopped == (i == len(text) - 1)
        assert shown == text.removesuffix(stop)


def test_stop_ids_end_an_answer_and_have_no_text(recite, tokenizer):
    engine, ids = recite(TEXT), tokenizer(TEXT).input_ids
    (request,) = engine.generate([[tokenizer.bos_token_id]], Sampling(stop_ids=ids[-2:]))
    assert request.token_ids == ids[:-1] and request.text == tokenizer.decode(ids[:-2])
    assert request.finish_reason == "stop"


# ---------------------------------------------------------------- sampling


def test_penalties_are_their_formulas():
    logits = torch.tensor([2.0, -1.0, 0.5, 3.0, -2.0])
    prompt, answer = [0, 4], [1, 3, 3]
    assert penalise(logits, Sampling(repetition_penalty=2.0), prompt, answer).tolist() == [1, -2, 0.5, 1.5, -4]
    assert penalise(logits, Sampling(presence_penalty=0.5), prompt, answer).tolist() == [2, -1.5, 0.5, 2.5, -2]
    assert penalise(logits, Sampling(frequency_penalty=0.5), prompt, answer).tolist() == [2, -1.5, 0.5, 2, -2]
    assert penalise(logits, Sampling(), prompt, []).tolist() == logits.tolist()


def test_penalties_reach_the_answer(make_engine):
    engine, (prompt,) = make_engine(), prompts_of(8)
    for penalties in ({"repetition_penalty": 100.0}, {"presence_penalty": 1e4}, {"frequency_penalty": 1e4}):
        (request,) = engine.generate([prompt], Sampling(max_tokens=40, stop_ids=(), **penalties))
        assert len(set(request.token_ids)) == 40


def likeliest_slowly(probs: list[float], s: Sampling) -> list[float]:
    order = sorted(range(len(probs)), key=lambda i: -probs[i])[: s.top_k or None]
    total, kept, before = sum(probs[i] for i in order), [], 0.0
    for i in order:
        if (s.top_p == 1 or before < s.top_p * total) and probs[i] >= s.min_p * max(probs):
            kept.append(i)
        before += probs[i]
    return [p if i in kept else 0.0 for i, p in enumerate(probs)]


KEPT = ((0, 1, 0), (3, 1, 0), (0, 0.7, 0), (0, 1, 0.2), (5, 0.8, 0.1), (50, 0.99, 0), (1, 0.01, 1), (0, 0.3, 0.9))
KEPT += ((CANDIDATES, 0.5, 0), (CANDIDATES + 44, 0.3, 0))
SAMPLINGS = [Sampling(top_k=top_k, top_p=top_p, min_p=min_p) for top_k, top_p, min_p in KEPT]


@pytest.mark.parametrize(("size", "spread"), [(11, 2.0), (11, 0.1), (4 * CANDIDATES, 2.0), (4 * CANDIDATES, 0.01)])
def test_what_is_kept_is_what_a_slow_reference_keeps(size, spread):
    """All rows together, each as if alone; a flat distribution needs more candidates than are looked at first."""
    torch.manual_seed(size)
    probs = (torch.randn(len(SAMPLINGS), size, dtype=torch.float64) * spread).softmax(-1)
    together = keep_likeliest(probs, SAMPLINGS)
    for row, sampling in enumerate(SAMPLINGS):
        expected = likeliest_slowly(probs[row].tolist(), sampling)
        assert together[row].tolist() == expected
        assert keep_likeliest(probs[row : row + 1], [sampling])[0].tolist() == expected


def test_noise_in_equal_steps_draws_every_token_as_often_as_its_probability_says():
    torch.manual_seed(0)
    logits, n = torch.randn(1, 12) * 2, 20000
    noise = [(i + 1) / n for i in range(n)]
    for sampling in (Sampling(temperature=1.7), Sampling(temperature=0.6, top_k=4), Sampling(temperature=1, top_p=0.6)):
        tokens = draw(logits.expand(n, -1), [sampling] * n, noise)
        expected = torch.tensor(likeliest_slowly((logits[0] / sampling.temperature).softmax(-1).tolist(), sampling))
        shares = tokens.bincount(minlength=12) / n
        assert (shares - expected / expected.sum()).abs().max() < 2 / n
    for extreme in (1.0, 2.0**-53):  # the ends of (0, 1] draw tokens that were kept
        (token,) = draw(logits, [Sampling(temperature=1, top_k=2)], [extreme])
        assert token in logits[0].topk(2).indices
    assert draw(logits, [Sampling(temperature=1e-30)], [0.5]) == logits.argmax()


# ---------------------------------------------------------------- prompts of any lengths


def test_one_long_prompt_among_short_ones_makes_no_large_cache(make_model, tokenizer, monkeypatch):
    """And every answer is what it is alone."""
    sizes, whole = [], generation.KVCache.__init__

    def watched(self, config, rows, positions, *more):
        sizes.append(rows * positions)
        whole(self, config, rows, positions, *more)

    monkeypatch.setattr(generation.KVCache, "__init__", watched)
    monkeypatch.setattr(generation, "CACHE_TOKENS", 256)
    model, sampling = make_model(vocab_size=len(tokenizer)), Sampling(max_tokens=4, stop_ids=())
    prompts = [[5 + i] * (i % 7 + 1) for i in range(30)] + [[9] * 100, [7] * 60]
    prompts.insert(3, [8] * 110)
    alone = [Generator(model, tokenizer, 1).generate([prompt], sampling)[0].token_ids for prompt in prompts]
    sizes.clear()
    done = generation.answer_prompts(model, tokenizer, prompts, sampling, max_batch=16)
    assert [request.token_ids for request in done] == alone and max(sizes) <= 256 and len(sizes) == 2


@pytest.mark.parametrize("rows", [10**9, 10**20, 10**400])
def test_a_cache_beyond_the_memory_is_refused_with_both_figures(make_model, tokenizer, rows):
    with pytest.raises(ValueError, match=r"take [\d,]+ MiB; there are [\d,]+: make fewer at once \(--max_batch\)"):
        Generator(make_model(vocab_size=len(tokenizer)), tokenizer, rows)
