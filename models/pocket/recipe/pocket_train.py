# SPDX-License-Identifier: MIT
"""Trains the tokenizer and the model: Llama 192 x 8, one conversation a row, rows of like length together, Muon, a time budget.

python pocket_train.py --out DIR --minutes 80
The learning rate is constant, then falls linearly over the last part of the time (WSD); there weights also pass through int4 rounding.
"""
import argparse
import json
import math
import multiprocessing as mp
import os
import random
import time

import torch
import torch.distributed as dist
import torch.nn.functional as F
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn

import pocket_data as data
from pocket_attention import attention
from pocket_words import Words

# Words are split from the space before them, so that a word has the same tokens wherever it stands and copying it is copying tokens; only
# these, which no answer copies, keep theirs. A space after punctuation belongs to the punctuation.
COMMON = """a about all am an and are as ask assistant at be by called can could did do does favourite following for from get has have here how if in
into is it its kernels letters like me my no not numbers occurs of on one or out please put reverse say should so sort take tell that the them there these they this
times to told up use was we what when where which who will with words would write yet you your""".split()
SPLIT = " (?:" + "|".join(COMMON) + r")(?!\p{L})|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+(?: [^\s\p{L}\p{N}]*)?[\r\n]*|\s*[\r\n]+|\s"
VOCAB, DIM, LAYERS, FF, HEADS, THETA = 1024, 192, 8, 512, 6, 10000.0
MIDDLE = 4  # the layer by which it is to be known which tool a request calls for; head 0 of the next one looks there
BEGINNING, POINTING, SAYING = 0.1, 0.15, 0.15  # weights of the losses that teach this
CONFIG = dict(vocab_size=VOCAB, hidden_size=DIM, intermediate_size=FF, num_hidden_layers=LAYERS, num_attention_heads=HEADS, num_key_value_heads=HEADS,
              head_dim=DIM // HEADS, rms_norm_eps=1e-5, rope_theta=THETA, tie_word_embeddings=True, max_position_embeddings=2048, hidden_act="silu")


def make_tokenizer(seed):
    """Byte-level BPE with single digits, trained on the data itself."""
    def corpus():
        words = Words(random.Random(seed))
        for _ in range(20000):
            chat = data.training_chat(words)
            yield from (text for text, _ in data.pieces(chat.messages, chat.tools))
        for _ in range(30000):
            yield words.word(3, 10) + " " + words.made(3, 10) + " " + words.name() + " " + words.city()

    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tok.decoder = decoders.ByteLevel()
    names = data.SPECIALS + data.TAGS
    clean = (text.replace("<|im_start|>", "").replace("<|im_end|>", "").replace("<tool_call>", "").replace("</tool_call>", "") for text in corpus())
    tok.train_from_iterator(clean, trainers.BpeTrainer(vocab_size=VOCAB - len(names), show_progress=False, min_frequency=2, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    tok.add_special_tokens([AddedToken(n, special=True, normalized=False) for n in data.SPECIALS])
    tok.add_tokens([AddedToken(n, special=False, normalized=False) for n in data.TAGS])
    assert tok.get_vocab_size() == VOCAB, tok.get_vocab_size()
    return tok


# --- the model -------------------------------------------------------------------------------------------------------------------

class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.input_layernorm, self.post_attention_layernorm = nn.RMSNorm(DIM, 1e-5), nn.RMSNorm(DIM, 1e-5)
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (nn.Linear(DIM, DIM, bias=False) for _ in range(4))
        self.gate_proj, self.up_proj = (nn.Linear(DIM, FF, bias=False) for _ in range(2))
        self.down_proj = nn.Linear(FF, DIM, bias=False)

    def forward(self, x, cos, sin):
        """The next states; queries and keys of head 0."""
        b, s, _ = x.shape
        h = self.input_layernorm(x)
        q, k, v = (p(h).view(b, s, HEADS, -1) for p in (self.q_proj, self.k_proj, self.v_proj))
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        x = x + self.o_proj(attention(q, k, v).reshape(b, s, DIM))
        h = self.post_attention_layernorm(x)
        return x + self.down_proj(F.silu(self.gate_proj(h)) * self.up_proj(h)), q[:, :, 0], k[:, :, 0]


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1).to(x.dtype)


class Llama(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed_tokens = nn.Embedding(VOCAB, DIM)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.called = nn.Linear(DIM, 1)  # for training only: reads in the middle of the model whether a tool's name is the one called for
        self.norm = nn.RMSNorm(DIM, 1e-5)
        for p in self.layers.parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=1 / math.sqrt(p.shape[1]) * 0.7)
        nn.init.normal_(self.embed_tokens.weight, std=0.02)
        for layer in self.layers:
            nn.init.zeros_(layer.o_proj.weight)
            nn.init.zeros_(layer.down_proj.weight)

    def forward(self, ids):
        """The normed hidden states [batch, length, DIM], those of the middle, those of the layer with the pointing head, and its queries and keys; what pads
        a row lies behind it, so that the causal mask hides it."""
        freq = THETA ** (-torch.arange(0, DIM // HEADS, 2, dtype=torch.float32) / (DIM // HEADS))
        angle = torch.arange(ids.shape[1], dtype=torch.float32)[:, None, None] * freq
        cos, sin = angle.cos(), angle.sin()
        x = self.embed_tokens(ids)
        for i, layer in enumerate(self.layers):
            x, query, key = layer(x, cos, sin)
            if i == MIDDLE:
                middle = x
            if i == MIDDLE + 1:
                pointing = x, query, key
        return self.norm(x), middle, *pointing

    def losses(self, states, labels, called, begins, pointer):
        """Summed: that of the answers; and, for training alone, of which tools are called, how their names begin, where what calls one looks, and what it says."""
        hidden, middle, pointing, query, key = states
        with torch.autocast("cpu", enabled=False):
            of_called, of_begins = self.of_names(middle, called, begins)
            of_said = self.of_tokens(F.rms_norm(pointing, (DIM,)), self.embed_tokens.weight.detach(), torch.where(pointer >= 0, labels, -1))
            return self.of_tokens(hidden, self.embed_tokens.weight, labels), of_called, BEGINNING * of_begins, POINTING * of_pointers(query, key, pointer), SAYING * of_said

    @staticmethod
    def of_tokens(hidden, head, labels):
        """The cross entropy of the rows that have a label: the head runs on those only."""
        chosen = (labels.view(-1) >= 0).nonzero().squeeze(1)
        return F.cross_entropy(F.linear(hidden.view(-1, DIM)[chosen].float(), head), labels.view(-1)[chosen], reduction="sum")

    def of_names(self, middle, called, begins):
        """At the ends of tools' names behind a request: whether it is called, and how it begins."""
        named = (called.view(-1) >= 0).nonzero().squeeze(1)
        ends = F.rms_norm(middle.view(-1, DIM)[named].float(), (DIM,))
        of_called = F.binary_cross_entropy_with_logits(self.called(ends).squeeze(1), called.view(-1)[named].float(), reduction="sum")
        return of_called, F.cross_entropy(F.linear(ends, self.embed_tokens.weight.detach()), begins.view(-1)[named], reduction="sum")


def of_pointers(query, key, pointer):
    """The cross entropy of one head's attention, where it is to be at one place."""
    row, at = (pointer >= 0).nonzero(as_tuple=True)
    scores = (key[row].float() @ query[row, at].float()[:, :, None])[:, :, 0] / math.sqrt(DIM // HEADS)
    later = torch.arange(key.shape[1])[None, :] > at[:, None]
    return F.cross_entropy(scores.masked_fill(later, float("-inf")), pointer[row, at], reduction="sum")


def deepened(state):
    """A checkpoint of fewer layers with more of them: copies of their neighbours below whose output matrices are zero, so that they add nothing yet."""
    have = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("layers."))
    copied = [(i + 1) * have // (LAYERS - have + 1) for i in range(LAYERS - have)]
    sources = sorted([(layer, False) for layer in range(have)] + [(layer, True) for layer in copied])
    out = {name: w for name, w in state.items() if not name.startswith("layers.")}
    for layer, (source, new) in enumerate(sources):
        for name, w in state.items():
            part = name.removeprefix(f"layers.{source}.")
            if part != name:
                out[f"layers.{layer}.{part}"] = torch.zeros_like(w) if new and part in ("o_proj.weight", "down_proj.weight") else w
    return out


def hf_state(model):
    """The weights under the names of transformers' LlamaForCausalLM."""
    out = {}
    for name, p in model.state_dict().items():
        if name.startswith("called"):
            continue
        for part in ("q_proj", "k_proj", "v_proj", "o_proj"):
            name = name.replace(part, "self_attn." + part)
        for part in ("gate_proj", "up_proj", "down_proj"):
            name = name.replace(part, "mlp." + part)
        out["model." + name] = p.detach().float().clone()
    return out


# --- batches ---------------------------------------------------------------------------------------------------------------------

def collate(rows, length):
    ids, labels = torch.zeros(len(rows), length, dtype=torch.long), torch.full((len(rows), length), -100)
    called, begins, pointer = (torch.full((len(rows), length), -1) for _ in range(3))
    for r, (tokens, mask, firsts, points) in enumerate(rows):
        t, m = torch.tensor(tokens), torch.tensor(mask)
        ids[r, :len(t)] = t
        labels[r, :len(t) - 1] = torch.where(m[1:] == data.WRITTEN_BY_MODEL, t[1:], -100)
        called[r, :len(t)] = torch.where(m == data.CALLED, 1, torch.where(m == data.NOT_CALLED, 0, -1))
        begins[r, :len(t)], pointer[r, :len(t)] = torch.tensor(firsts), torch.tensor(points)
    return ids, labels, called, begins, pointer


def produce(queue, tokenizer_file, seed, tokens):
    """A process of its own: batches of `tokens` tokens without end, each of one length, each length as often as the data has it."""
    os.nice(2)
    torch.set_num_threads(1)
    waiting = {length: [] for length in LENGTHS}
    for row in data.rows(Tokenizer.from_file(tokenizer_file), seed, LENGTHS[-1]):
        length = next(n for n in LENGTHS if n >= len(row[0]))
        waiting[length].append(row)
        if len(waiting[length]) == tokens // length:
            queue.put([t.numpy() for t in collate(waiting[length], length)])
            waiting[length] = []


# --- training --------------------------------------------------------------------------------------------------------------------

def int4(w, block=32):
    """Symmetric block rounding as the exporter does it: the largest value of a block maps to -8."""
    b = w.reshape(w.shape[0], -1, block)
    top = b.gather(-1, b.abs().argmax(-1, keepdim=True))
    scale = top / -8
    scale = torch.where(scale == 0, torch.ones_like(scale), scale)
    return ((b / scale).round().clamp(-8, 7) * scale).reshape(w.shape)


LENGTHS = [48, 64, 80, 96, 128, 160, 192, 256, 320, 384, 512, 640, 768, 1024]  # a row is as long as the next of these


class Sharded:
    """Muon for the matrices, AdamW for the rest. Each rank updates every other matrix and sends it to the others."""

    def __init__(self, model, args, rank, world):
        named = list(model.named_parameters())
        self.matrices = [p for n, p in named if p.dim() == 2 and n.startswith("layers")]
        self.others = [p for n, p in named if p.dim() != 2 or not n.startswith("layers")]
        self.args, self.rank, self.world = args, rank, world
        self.muon = torch.optim.Muon(self.matrices[rank::world], lr=args.muon_lr, momentum=0.95, weight_decay=0.02, adjust_lr_fn="match_rms_adamw")
        self.adam = torch.optim.AdamW(self.others, lr=args.adam_lr, betas=(0.9, 0.95), weight_decay=0.0)

    def step(self, scale):
        grads = [p.grad for p in self.matrices + self.others]
        flat = torch.cat([g.flatten() for g in grads])
        dist.all_reduce(flat)
        for g, part in zip(grads, flat.split([g.numel() for g in grads])):
            g.copy_(part.view_as(g))
        torch.nn.utils.clip_grad_norm_(self.others, 1.0)
        for opt, lr in ((self.muon, self.args.muon_lr), (self.adam, self.args.adam_lr)):
            for group in opt.param_groups:
                group["lr"] = lr * scale
            opt.step()
        for rank in range(self.world):
            owned = [p.data for p in self.matrices[rank::self.world]]
            flat = torch.cat([p.flatten() for p in owned])
            dist.broadcast(flat, rank)
            for p, part in zip(owned, flat.split([p.numel() for p in owned])):
                p.copy_(part.view_as(p))
        for p in self.matrices + self.others:
            p.grad = None


def backward(model, hidden_fn, batch, count):
    """Adds the gradients of one batch; its shares of the step's mean losses."""
    ids, *marks = batch
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = [loss / count for loss in model.losses(hidden_fn(ids), *marks)]
    sum(losses).backward()
    return torch.tensor([loss.item() for loss in losses])


def warm_up(model, hidden_fn, tokens):
    """Compiles every shape, before the clock starts."""
    for length in LENGTHS:
        ids, begin = torch.zeros(tokens // length, length, dtype=torch.long), time.time()
        backward(model, hidden_fn, (ids,) * 5, 1.0)
        print(f"compiled {tokens // length} x {length} in {time.time() - begin:.0f} s", flush=True)
    for p in model.parameters():
        p.grad = None


def work(rank, world, args, tokenizer_file):
    """One rank: its own share of the rows of every step, one thread (two ranks wait for each other once a step only)."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{os.path.abspath(args.out)}/rendezvous", rank=rank, world_size=world)
    queue = mp.Queue(24)
    producer = mp.Process(target=produce, args=(queue, tokenizer_file, args.seed * 10 + rank, args.batch), daemon=True)
    producer.start()
    torch.manual_seed(args.seed)
    model = Llama()
    if args.init:
        model.load_state_dict({**model.state_dict(), **deepened(torch.load(args.init))})
    optimizer = Sharded(model, args, rank, world)
    rounded = [p for n, p in model.named_parameters() if p.dim() == 2 and not n.startswith("called")]  # the exporter rounds the embedding too, which is the head
    torch._dynamo.config.recompile_limit = 2 * len(LENGTHS)  # one for each shape
    hidden_fn = torch.compile(model, dynamic=False)
    warm_up(model, hidden_fn, args.batch)
    dist.barrier()
    begin, total, seen, step, losses, saved = time.time(), args.minutes * 60, 0, 0, [], 0.0
    while True:
        batches = [[torch.from_numpy(a) for a in queue.get()] for _ in range(args.tokens // world // args.batch)]
        clock = torch.tensor([0.0 if rank else time.time() - begin, float(sum((b[1] >= 0).sum() for b in batches))], dtype=torch.float64)
        dist.all_reduce(clock)  # rank 0's time, everyone's targets
        now, count = clock.tolist()
        if now >= total:
            break
        scale = min(1.0, (step + 1) / (20 if args.init else 60)) * min(1.0, max(0.02, (total - now) / (args.decay * total)))
        rounding = now > (1 - args.round) * total
        keep = [p.data for p in rounded]
        if rounding:
            for p in rounded:
                p.data = int4(p.data)
        losses.append(sum(backward(model, hidden_fn, batch, count) for batch in batches) * world)
        for p, data_ in zip(rounded, keep):
            p.data = data_
        optimizer.step(scale)
        step += 1
        seen += args.tokens
        if rank == 0 and step % 25 == 0:
            answers, calls, begins, pointers, said = (sum(losses) / len(losses)).tolist()
            print(f"step {step} minute {now / 60:.1f} loss {answers:.4f} of calls {calls:.4f} of names {begins:.4f} of pointers {pointers:.4f} of sayings {said:.4f} tokens {seen / 1e6:.2f}M rate {seen / max(now, 1):.0f}/s lr {scale:.2f}{' int4' if rounding else ''}", flush=True)
            losses = []
        if rank == 0 and now - saved > args.save_minutes * 60:
            saved = now
            save(model, args.out, dict(step=step, tokens=seen, minutes=now / 60))
    if rank == 0:
        save(model, args.out, dict(step=step, tokens=seen, minutes=total / 60, final=True))
    producer.terminate()
    dist.barrier()


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--out", required=True)
    args.add_argument("--minutes", type=float, default=80)
    args.add_argument("--decay", type=float, default=0.35, help="share of the time over which the learning rate falls")
    args.add_argument("--round", type=float, default=0.2, help="share of the time, at the end, that trains through int4 rounding")
    args.add_argument("--tokens", type=int, default=8192, help="tokens a step, padding included")
    args.add_argument("--batch", type=int, default=2048, help="tokens of one forward pass: rows of one length")
    args.add_argument("--muon-lr", type=float, default=6e-3)
    args.add_argument("--adam-lr", type=float, default=4e-3)
    args.add_argument("--seed", type=int, default=1)
    args.add_argument("--ranks", type=int, default=2)
    args.add_argument("--save-minutes", type=float, default=6)
    args.add_argument("--init", help="a checkpoint to go on from, of as many layers or fewer")
    args = args.parse_args()
    os.makedirs(args.out, exist_ok=True)
    tokenizer_file = os.path.join(args.out, "tokenizer.json")
    if not os.path.exists(tokenizer_file):
        make_tokenizer(args.seed).save(tokenizer_file)
    rendezvous = os.path.join(args.out, "rendezvous")
    if os.path.exists(rendezvous):
        os.remove(rendezvous)
    context = mp.get_context("spawn")
    ranks = [context.Process(target=work, args=(r, args.ranks, args, tokenizer_file)) for r in range(args.ranks)]
    for r in ranks:
        r.start()
    for r in ranks:
        r.join()


def save(model, out, state):
    torch.save(model.state_dict(), os.path.join(out, "model.tmp"))
    os.replace(os.path.join(out, "model.tmp"), os.path.join(out, "model.pt"))
    with open(os.path.join(out, "state.json"), "w") as f:
        json.dump({**state, "torch": torch.__version__, "date": time.strftime("%Y-%m-%d")}, f)


if __name__ == "__main__":
    main()
