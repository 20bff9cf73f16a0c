#!/usr/bin/env bash
# MiniMind's one command. It sets itself up where needed, then does what its word says; `./run.sh help` lists the words.
[ -n "${BASH_VERSION:-}" ] || exec bash -- "$0" "$@" # typed as `sh run.sh`
set -euo pipefail +o posix

ROOT=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")

# ---- The quick start: every training flag of `./run.sh` without a word ------------------------------------------
QUICK_PRETRAIN=(--data_path "$ROOT/dataset/sample/pretrain.jsonl" --hidden_size 192 --num_hidden_layers 4
    --num_attention_heads 4 --max_seq_len 256 --batch_size 4 --learning_rate 4e-3)
QUICK_SFT=(--data_path "$ROOT/dataset/sample/sft.jsonl" --from_weight "$ROOT/out/pretrain_192.pth"
    --max_seq_len 512 --batch_size 16 --learning_rate 2e-3 --max_steps 3900 --average 0.25)
QUICK_MINUTES=30 # pretrain + SFT + score on 2 CPU cores

# ---- The life cycle: what `./run.sh all` trains after the quick start's two stages ------------------------------
SAMPLE=$ROOT/dataset/sample
LIFE_WORLD=$ROOT/out/world # the sample once more, with LIFE_TIMES times as much for LoRA and reasoning
LIFE_TIMES=4
LIFE_SFT=$ROOT/out/full_sft_192.pth  # what the stages below start from or learn from
LIFE_DPO_WEIGHT=$ROOT/out/rlhf_192.pth
LIFE_LORA_IDENTITY=(--data_path "$LIFE_WORLD/lora_identity.jsonl" --lora_name identity --from_weight "$LIFE_SFT"
    --max_seq_len 512 --batch_size 16 --learning_rate 2e-3 --epochs 1 --average 0.5)
LIFE_LORA_TEAHOUSE=(--data_path "$LIFE_WORLD/lora_teahouse.jsonl" --lora_name teahouse --from_weight "$LIFE_SFT"
    --max_seq_len 512 --batch_size 8 --learning_rate 3e-3 --epochs 1 --average 0.5)
LIFE_DPO=(--data_path "$SAMPLE/dpo.jsonl" --val_path "$SAMPLE/heldout_dpo.jsonl" --from_weight "$LIFE_SFT"
    --max_seq_len 512 --batch_size 8 --learning_rate 1.4e-5 --beta 0.3 --epochs 1)
# The student, with a teacher and alone: all but the teacher and the learning rate is the same. Keep the defaults of
# scripts/compare_seeds.py equal to these.
LIFE_STUDENT=(--data_path "$SAMPLE/distill.jsonl" --val_path "$SAMPLE/heldout_distill.jsonl" --from_weight none
    --hidden_size 112 --num_hidden_layers 4 --num_attention_heads 4 --max_seq_len 256 --batch_size 16
    --max_steps 1250)
LIFE_TAUGHT=(--teacher_weight "$LIFE_SFT" --alpha 0 --temperature 1 --learning_rate 5e-3)
LIFE_ALONE=(--save_weight student_alone --learning_rate 5e-3)
LIFE_PROBLEMS=(--from_weight "$LIFE_DPO_WEIGHT" --max_seq_len 512 --batch_size 16 --learning_rate 5e-4 --epochs 1
    --average 0.25)
# Keep POLICY of scripts/compare_seeds.py equal to these.
LIFE_RL=(--from_weight "$LIFE_SFT" --thinking 1 --max_steps 60 --learning_rate 1e-4 --temperature_lr_scale 500
    --average 0.4 --eval_interval 1000)
LIFE_REPORT=(--hidden_size 192 --student_size 112)
HACK=(--data_path "$SAMPLE/rl.jsonl" --from_weight "$LIFE_SFT" --thinking 0 --max_new_tokens 96 --batch_size 16
    --max_steps 16 --learning_rate 3e-4 --rewards length=1 right=0 --eval_interval 1000 --log_interval 1)
HACK_MINUTES=5
LIFE_MINUTES=70 # all of it on 2 CPU cores, the quick start's stages included
# -----------------------------------------------------------------------------------------------------------------

VENV=$ROOT/.venv
PYTHON=$VENV/bin/python
LOG=$VENV/setup.log # what the last step of the set-up printed
TORCH_CPU_INDEX=https://download.pytorch.org/whl/cpu

# word|script and flags|what it does
DOORS='data|scripts/download_data.py|fetch the published data sets by name, for the real sizes
pretrain|trainer/train_pretrain.py|learn language and facts from plain text
sft|trainer/train_full_sft.py|learn to answer, from conversations
lora|trainer/train_lora.py|learn something small in an adapter, the rest frozen
dpo|trainer/train_dpo.py|learn a preference, from pairs of answers
distill|trainer/train_distillation.py|a small network learns from a larger one
reason|trainer/train_distill_reason.py|learn to think before answering
grpo|trainer/train_grpo.py|learn from its own answers, by what came out right
ppo|trainer/train_ppo.py|the same with a critic
eval|eval_model.py --score --half test|the held-out score by category, and of chats
chat|eval_model.py --model_mode 1|talk to the trained model
serve|scripts/serve_openai_api.py|serve it by the OpenAI protocol, on http://127.0.0.1:8998/v1
web|scripts/web_demo.py|talk to it in a web page, on http://127.0.0.1:8501
convert|scripts/convert_model.py|to and from Hugging Face folders; to GGUF, for llama.cpp and ollama'

usage() {
    cat <<TEXT
usage: ./run.sh [word [flags]]

  (no word)    quick start: train a small chat model from zero and score it, about $QUICK_MINUTES minutes on 2 CPU cores
  all          every stage, from pretraining to GRPO, and a report of what each changed, about $LIFE_MINUTES minutes
  hack         from the quick start's weight, a careless reward is won and the task lost, about $HACK_MINUTES minutes
  setup        only make .venv and install the packages (1.9 GB on disk)
TEXT
    while IFS='|' read -r name script purpose; do
        printf '  %-12s %s: %s\n' "$name" "$script" "$purpose"
    done <<<"$DOORS"
    cat <<TEXT
  test         ruff and the test suite; flags go to pytest (./run.sh test -k tokenizer)
  test-compat  tests/compat: agreement with outside programs
  test-gpu     tests/gpu: proof on an NVIDIA GPU, about 6 minutes, and the table of scripts/benchmark.py
  help         this list

Flags after a word that names a script go to that script: ./run.sh pretrain --help
TEXT
}

say() { echo "$*" >&2; }

RUN_NAME="quick start" # of a chain of phases, as its messages call it

die() {
    say "run.sh: $*"
    exit 1
}

# interrupted CODE: 128 + the signal's number. A closed terminal (HUP) can show nothing any more.
interrupted() {
    trap - INT TERM HUP
    say "" || true
    say "run.sh: stopped. What was saved so far is kept; the same command continues where this stopped." || true
    exit "$1"
}
trap 'interrupted 130' INT
trap 'interrupted 143' TERM
trap 'interrupted 129' HUP

# ---- Set-up -----------------------------------------------------------------------------------------------------

# stamp NAME: what .venv must hold, as text; the same text in .venv means that nothing is left to do.
stamp() {
    "$PYTHON" -V 2>&1 || return 1
    cat -- "$ROOT/requirements.txt" "$ROOT/requirements.lock"
    if [[ $1 == dev ]]; then cat -- "$ROOT/requirements-dev.txt"; fi
}

is_set_up() {
    local now
    [[ -x $PYTHON && -f $VENV/minimind-$1.stamp ]] && now=$(stamp "$1") && [[ $now == "$(<"$VENV/minimind-$1.stamp")" ]]
}

# set_up NAME: `run` for everyday use, `dev` for the tests. Afterwards $PYTHON has all packages of NAME.
set_up() {
    if is_set_up "$1"; then return; fi
    exec 9<"$ROOT" # a lock on the folder itself: the second of two set-ups waits
    if command -v flock >/dev/null && ! flock -n 9; then
        say "[setup] another set-up of $ROOT is running: waiting for it to end"
        flock 9 || true
        if is_set_up "$1"; then return; fi
    fi
    local -x PYTHONSAFEPATH=1 # modules that lie in the working folder are not Python's
    make_venv
    install_packages "$1"
    stamp "$1" >"$VENV/minimind-$1.stamp"
    if [[ $1 == dev ]]; then stamp run >"$VENV/minimind-run.stamp"; fi
    say "[setup] done"
    exec 9<&-
}

make_venv() {
    local kb info
    if ! { mkdir -p -- "$VENV" && true >>"$LOG"; } 2>/dev/null; then
        die "$VENV is not a folder that can be written (a file of that name, no permission, a full disk), but the packages have to go there: put that right and run again."
    fi
    kb=$(df -Pk -- "$VENV" 2>/dev/null | awk 'NR == 2 { print $4 }') || kb=""
    if [[ $kb =~ ^[0-9]+$ && $kb -lt 2200000 ]] && ! compgen -G "$VENV/lib/python3.*/site-packages/torch" >/dev/null; then
        die "the disk of $VENV has $((kb / 1024)) MB free, but the packages take 1.9 GB and installing them a little more: make room and run again."
    fi
    # pip writes a package's INSTALLER file last: without it, an earlier set-up was cut off inside that package.
    for info in "$VENV"/lib/python3.*/site-packages/*.dist-info; do
        if [[ -d $info && ! -e $info/INSTALLER ]]; then rm -rf -- "$info"; fi
    done
    if runs_pip || { "$PYTHON" -m ensurepip && runs_pip; } &>/dev/null; then
        "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
            die "$VENV holds $("$PYTHON" -V), but MiniMind needs Python 3.11 or newer: remove that folder and run again."
        return
    fi
    find_python
    say "[setup 1/4] virtual environment in .venv with $FOUND (5 s)"
    rm -rf -- "$VENV" && mkdir -- "$VENV"
    logged "making the virtual environment with $FOUND" "$FOUND" -m venv "$VENV"
}

runs_pip() { "$PYTHON" -m pip --version &>/dev/null; }

# find_python: sets FOUND to a Python that runs (a pyenv shim may not), is new enough and can make virtual environments.
find_python() {
    local path answer problem=""
    local get="(https://www.python.org/downloads or your package manager), have it on PATH and run again."
    while IFS= read -r path; do
        answer=$("$path" -c '
import sys
print("%d.%d.%d" % sys.version_info[:3])
if sys.version_info < (3, 11): print("old")
import ensurepip, venv
print("usable")' 2>/dev/null </dev/null) || [[ -n $answer ]] || continue
        case $answer in
            *old*) problem=${problem:-Python ${answer%%$'\n'*} at $path is too old, MiniMind needs 3.11 or newer: install one $get} ;;
            *usable) FOUND=$path && return ;;
            *) problem="Python $answer at $path cannot make virtual environments (its venv or ensurepip module is missing): install it (Debian, Ubuntu: apt install python3-venv) and run again." ;;
        esac
    done < <(type -aP python3.13 python3.12 python3.11 python3 || true)
    die "${problem:-no Python that runs is on PATH, MiniMind needs 3.11 or newer: install one $get}"
}

install_packages() {
    local torch index=() file=requirements.txt
    torch=$(sed -n 's/^\(torch==[^ #]*\).*/\1/p' "$ROOT/requirements.lock")
    if [[ $1 == dev ]]; then file=requirements-dev.txt; fi
    # pip must end by itself whatever the network does, ask nothing, and install into .venv whatever the user's settings say.
    export PIP_DEFAULT_TIMEOUT=${PIP_DEFAULT_TIMEOUT:-20} PIP_RETRIES=${PIP_RETRIES:-2}
    export PIP_NO_INPUT=1 PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1

    if ! has_torch "$torch"; then
        if command -v nvidia-smi >/dev/null && timeout 10 nvidia-smi -L 2>/dev/null | grep -q GPU; then
            say "[setup 2/4] $torch for the NVIDIA GPU (about 3 GB to download, 7 GB on disk, several minutes)"
        elif "$PYTHON" -c 'import sys, urllib.request as u; u.urlopen(sys.argv[1], timeout=5)' "$TORCH_CPU_INDEX/torch/" &>/dev/null; then
            say "[setup 2/4] $torch, CPU build, as there is no NVIDIA GPU (0.2 GB to download, 0.8 GB on disk, about a minute)"
            index=(--extra-index-url "$TORCH_CPU_INDEX")
        else
            say "[setup 2/4] $torch as your pip's own index has it, $TORCH_CPU_INDEX cannot be reached (0.8 GB on disk if that is a CPU build, 7 GB if not; minutes)"
        fi
        logged "installing $torch" "$PYTHON" -m pip install --prefer-binary ${index[@]+"${index[@]}"} "$torch"
    fi
    say "[setup 3/4] the packages of $file (0.3 GB to download, 1.1 GB on disk, a minute or two)"
    logged "installing $file" "$PYTHON" -m pip install --prefer-binary -c "$ROOT/requirements.lock" -r "$ROOT/$file"
    say "[setup 4/4] do they load? (10 s)"
    logged "loading the packages" "$PYTHON" -c 'import torch, transformers, tokenizers, matplotlib'
}

has_torch() { "$PYTHON" -m pip freeze 2>/dev/null | grep -qE "^${1//./\\.}(\+|\$)"; }

# logged WHAT COMMAND...: run it with its output in $LOG; if it fails, show the end of that.
logged() {
    local what=$1 status=0 why="the lines above say why"
    shift
    "$@" </dev/null >"$LOG" 2>&1 || status=$?
    if [[ $status == 0 ]]; then return; fi
    tail -n 8 -- "$LOG" | sed 's/^/    | /' >&2
    if grep -qiE 'ConnectionError|ConnectTimeout|Read ?Timeout|timed out|name resolution|Max retries|ProxyError|SSLError|Connection (refused|reset|broken)' "$LOG"; then
        why="no package index answered (no network, or a proxy or certificate that pip does not know): connect and run again, it continues where it stopped"
    fi
    die "$what failed: $why. The whole log: $LOG"
}

# ---- The words --------------------------------------------------------------------------------------------------

quick_start() {
    echo "MiniMind quick start: trains a small chat model from zero before your eyes (pretrain, SFT, score), about $QUICK_MINUTES minutes on 2 CPU cores; the set-up, the first time, takes some minutes and 1.9 GB more. What is there already, from the same flags, data and start, is kept."
    set_up run
    MINIMIND_REST=4.7 phase "[1/3] pretrain: reads plain text, learns language and facts" trainer/train_pretrain.py "${QUICK_PRETRAIN[@]}" --skip_finished 1
    MINIMIND_REST=0.08 phase "[2/3] SFT: reads conversations, learns to answer" trainer/train_full_sft.py "${QUICK_SFT[@]}" --skip_finished 1
    phase "[3/3] score: questions it has never seen" scripts/quickstart_report.py
}

no_flags() {
    if [[ $# -gt 1 ]]; then
        say "run.sh: $1 takes no flags (got $2): those of its stages stand at the top of run.sh, and ./run.sh lora|dpo|… take their own"
        exit 2
    fi
}

life_cycle() {
    RUN_NAME="life cycle"
    no_flags all "$@"
    echo "MiniMind life cycle: trains every stage on the miniature world and measures what each one changed, about $LIFE_MINUTES minutes on 2 CPU cores; what is there already, from the same flags, data and start, is kept."
    set_up run
    MINIMIND_REST=11.8 phase "[1/11] pretrain: reads plain text, learns language and facts" trainer/train_pretrain.py "${QUICK_PRETRAIN[@]}" --skip_finished 1
    MINIMIND_REST=1.7 phase "[2/11] SFT: reads conversations, learns to answer" trainer/train_full_sft.py "${QUICK_SFT[@]}" --skip_finished 1
    printf '\ndata: the world once more, with %s times as much for LoRA and reasoning (15 s)\n' "$LIFE_TIMES"
    step dataset/sample/make_sample.py --output_dir "$LIFE_WORLD" --times "$LIFE_TIMES" >/dev/null
    phase "[3/11] LoRA: a new identity in an adapter, the weights frozen" trainer/train_lora.py "${LIFE_LORA_IDENTITY[@]}" --skip_finished 1
    MINIMIND_REST=11.9 phase "[4/11] LoRA: a small domain that nothing before spoke of" trainer/train_lora.py "${LIFE_LORA_TEAHOUSE[@]}" --skip_finished 1
    phase "[5/11] DPO: a preference, from pairs of answers" trainer/train_dpo.py "${LIFE_DPO[@]}" --skip_finished 1
    MINIMIND_REST=4.4 phase "[6/11] distillation: a smaller network learns from the SFT weight" trainer/train_distillation.py "${LIFE_STUDENT[@]}" "${LIFE_TAUGHT[@]}" --skip_finished 1
    MINIMIND_REST=9.2 phase "[7/11] for comparison: the same student without a teacher" trainer/train_full_sft.py "${LIFE_STUDENT[@]}" "${LIFE_ALONE[@]}" --skip_finished 1
    MINIMIND_REST=2.9 phase "[8/11] reasoning: thinks aloud, then answers" trainer/train_distill_reason.py --data_path "$LIFE_WORLD/reason.jsonl" "${LIFE_PROBLEMS[@]}" --skip_finished 1
    phase "[9/11] for comparison: the same problems without the thought" scripts/direct_answers.py --data_path "$LIFE_WORLD/reason.jsonl" --output "$ROOT/out/direct.jsonl"
    step trainer/train_full_sft.py --data_path "$ROOT/out/direct.jsonl" --save_weight direct "${LIFE_PROBLEMS[@]}" --skip_finished 1
    MINIMIND_REST=0.5 phase "[10/11] GRPO: the SFT weight tries, and learns from what came out right" trainer/train_grpo.py --data_path "$LIFE_WORLD/rl.jsonl" "${LIFE_RL[@]}" --skip_finished 1
    phase "[11/11] report: held-out questions, before and after each stage" scripts/lifecycle_report.py "${LIFE_REPORT[@]}"
    printf '\nlife cycle: done in %d min %d s\n' $((SECONDS / 60)) $((SECONDS % 60))
}

hack() {
    RUN_NAME="experiment"
    no_flags hack "$@"
    echo "MiniMind reward hacking: from the quick start's SFT weight, rewards long answers and only watches whether they are right, about $HACK_MINUTES minutes on 2 CPU cores."
    set_up run
    phase "[1/3] a careless reward: the longer the better" trainer/train_grpo.py "${HACK[@]}" --save_weight hack --skip_finished 1
    phase "[2/3] the same, pulled back towards the start" trainer/train_grpo.py "${HACK[@]}" --save_weight hack_kl --kl_weight 1 --skip_finished 1
    phase "[3/3] the picture" scripts/plot_training.py "$ROOT/out/metrics/hack_192.jsonl" "$ROOT/out/metrics/hack_kl_192.jsonl" --y reward_length,reward_right --overlay 1 --output "$ROOT/out/hack.png"
}

# phase TITLE SCRIPT FLAGS...
# MINIMIND_REST before it: the time of everything after this stage, in multiples of its own training, as measured on 2
# idle cores; from it the stage says, seconds after it began, how long the rest takes on this machine.
phase() {
    printf '\n%s\n' "$1"
    step "${@:2}"
}

# step SCRIPT FLAGS...: run it; what fails or is stopped ends the whole run.
step() {
    local script=$1 status=0
    shift
    "$PYTHON" "$ROOT/$script" "$@" || status=$?
    if [[ $status == 129 || $status == 130 || $status == 143 ]]; then interrupted "$status"; fi
    if [[ $status != 0 ]]; then
        say "run.sh: $script ended with exit code $status (see above), so the $RUN_NAME stops here."
        exit "$status"
    fi
}

word=${1:-}
if [[ $# -gt 0 ]]; then shift; fi
case $word in
    "") quick_start ;;
    all) life_cycle "$@" ;;
    hack) hack "$@" ;;
    setup)
        set_up run
        echo "set-up: ready, $("$PYTHON" -V) with its packages in $VENV"
        ;;
    test | test-compat | test-gpu)
        set_up dev
        cd -- "$ROOT"
        # The suite downloads nothing, and forks; two processes, with -n 0 this one.
        export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
        suite=("$PYTHON" -m pytest -n 2 --dist loadfile --no-loadscope-reorder)
        case $word in
            test) "$PYTHON" -m ruff check && exec "${suite[@]}" --ignore=tests/compat --ignore=tests/gpu "$@" ;;
            test-compat) exec "${suite[@]}" tests/compat "$@" ;;
            test-gpu) exec "$PYTHON" -m pytest -rs tests/gpu "$@" ;;
        esac
        ;;
    help | -h | --help) usage ;;
    *)
        script=""
        while IFS='|' read -r name match _; do
            if [[ $name == "$word" ]]; then script=$match; fi
        done <<<"$DOORS"
        if [[ -n $script ]]; then
            set_up run
            # shellcheck disable=SC2086 # the script and its flags
            exec "$PYTHON" "$ROOT"/$script "$@" # in the user's folder
        fi
        say "run.sh: no such word: $word"
        usage >&2
        exit 2
        ;;
esac
