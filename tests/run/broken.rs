//! No broken file crashes the process: each is refused with exit code 1 and a reason.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use gguf_export::ggml::GgmlType;
use gguf_export::gguf::{self, Array, Header, Value};

use super::tiny_gguf;
use crate::deadline::output;
use crate::dense::dense_gguf;

/// A model's file.
struct Original {
    header: Header,
    bytes: Vec<u8>,
}

impl Original {
    fn read() -> Self {
        Self::of(tiny_gguf())
    }

    fn of(path: PathBuf) -> Self {
        let header = gguf::open_all(&path).unwrap().remove(0).1;
        Self { header, bytes: fs::read(path).unwrap() }
    }

    /// The file with a changed header before the same data.
    fn with(&self, change: impl FnOnce(&mut Header)) -> Vec<u8> {
        let mut header = self.header.clone();
        change(&mut header);
        let mut bytes = header.encode();
        bytes.extend(&self.bytes[usize::try_from(self.header.data_offset).unwrap()..]);
        bytes
    }

    fn metadata(&self, key: &str, value: impl Into<Value>) -> Vec<u8> {
        self.with(|header| header.metadata.set(key, value))
    }

    fn tensor(&self, name: &str, change: impl FnOnce(&mut gguf::TensorInfo)) -> Vec<u8> {
        self.with(|header| change(header.tensors.iter_mut().find(|t| t.name == name).unwrap()))
    }
}

fn run(path: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ggrun"));
    command.args(["run", "-p", "Hi", "-n", "1", "-c", "64", "-t", "1", "--temp", "0", "-m"]).arg(path);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LLAMA_ARG_") {
            command.env_remove(name);
        }
    }
    // A file on which it hangs is as bad as one that crashes it: the deadline makes that a failure.
    output(command.stdin(Stdio::null()))
}

fn write(folder: &tempfile::TempDir, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join("broken.gguf");
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn every_known_corruption_is_refused_with_its_reason() {
    let o = &Original::read();
    let folder = tempfile::tempdir().unwrap();
    let key = |name: &str| format!("qwen3next.{name}");
    let number = |name: &str, n: u32| o.metadata(&key(name), Value::U32(n));
    let truths =
        |list: Vec<bool>| o.metadata(&key("attention.recurrent_layers"), Value::Array(Array::Bool(list)));
    let without = |name: &str| o.with(|h| h.tensors.retain(|t| t.name != name));
    let tokens = o.header.metadata.strings("tokenizer.ggml.tokens").unwrap();
    let doubled = || {
        let mut tokens = tokens.to_vec();
        tokens[7] = tokens[8].clone();
        Value::Array(Array::Str(tokens))
    };
    let byte = |at: usize, value: u8| {
        let mut bytes = o.bytes.clone();
        bytes[at] = value;
        bytes
    };
    let expert = "blk.1.ffn_up_exps.weight";
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (byte(0, b'X'), "first bytes `XGUF`, expected `GGUF`"),
        (byte(4, 9), "version 9, expected version 2 or 3"),
        (o.bytes[..o.bytes.len() - 1].to_vec(), "is truncated: tensor `"),
        (o.bytes[..3000].to_vec(), "in the bytes left"),
        (byte(15, 0xff), "tensors, expected at most"),
        (number("block_count", 0), "`qwen3next.block_count` is 0, expected 1 to 512"),
        (number("block_count", u32::MAX), "`qwen3next.block_count` is 4294967295"),
        (number("block_count", 6), "`qwen3next.attention.recurrent_layers` is an array of 5 values"),
        (number("nextn_predict_layers", 5), "`qwen3next.nextn_predict_layers` is 5, expected 0 to 4"),
        (number("embedding_length", 0), "`qwen3next.embedding_length` is 0"),
        (
            number("embedding_length", 96),
            "tensor `token_embd.weight` has shape [128, 640], expected [96, 640]",
        ),
        (number("context_length", 0), "`qwen3next.context_length` is 0"),
        (number("attention.head_count", 0), "head_count_kv` is 2, expected a divisor of 0 heads"),
        (number("attention.head_count_kv", 0), "`qwen3next.attention.head_count_kv` is 0"),
        (number("attention.head_count_kv", 3), "expected a divisor of 4 heads"),
        (number("attention.key_length", 0), "`qwen3next.attention.key_length` is 0"),
        (number("attention.value_length", 32), "`qwen3next.attention.value_length` is 32, expected 64"),
        (
            number("rope.dimension_count", 15),
            "`qwen3next.rope.dimension_count` is 15, expected an even number",
        ),
        (number("rope.dimension_count", 128), "`qwen3next.rope.dimension_count` is 128"),
        (
            o.metadata(&key("rope.scaling.type"), Value::Str("sideways".into())),
            "is `sideways`, expected one of none",
        ),
        (
            o.metadata(&key("attention.layer_norm_rms_epsilon"), Value::F32(-1.0)),
            "is -1, expected a finite f32",
        ),
        (
            o.metadata(&key("attention.layer_norm_rms_epsilon"), Value::F32(f32::NAN)),
            "is NaN, expected a finite f32",
        ),
        (number("expert_count", 0), "`qwen3next.expert_used_count` is 2, expected 0 without experts"),
        (number("expert_count", 2048), "`qwen3next.expert_count` is 2048"),
        (number("expert_count", 8), "expected [128, 8] by the metadata"),
        (number("expert_used_count", 17), "`qwen3next.expert_used_count` is 17, expected 1 to 16"),
        (number("expert_used_count", 0), "`qwen3next.expert_used_count` is 0, expected 1 to 16"),
        (number("expert_group_count", 16), "`qwen3next.expert_group_count` is 16, expected 0 to 15"),
        (number("expert_group_count", 3), "expected a divisor of 16"),
        (number("ssm.conv_kernel", 0), "`qwen3next.ssm.conv_kernel` is 0, expected 2 to 64"),
        (number("ssm.state_size", 0), "`qwen3next.ssm.state_size` is 0"),
        (number("ssm.group_count", 0), "`qwen3next.ssm.group_count` is 0"),
        (number("ssm.group_count", 3), "`qwen3next.ssm.time_step_rank` is 4, expected a multiple of 3"),
        (number("ssm.time_step_rank", 0), "`qwen3next.ssm.time_step_rank` is 0"),
        (number("ssm.inner_size", 128), "`qwen3next.ssm.inner_size` is 128, expected 4 heads of 64"),
        (number("full_attention_interval", 0), "`qwen3next.full_attention_interval` is 0"),
        (truths(vec![true; 4]), "is an array of 4 values, expected one for each of 5 layers"),
        (truths(vec![true; 5]), "`blk.3.attn_qkv.weight` is missing"),
        (o.metadata("general.architecture", Value::U32(7)), "`general.architecture` is 7, expected a name"),
        (o.metadata("general.architecture", Value::Str("qwen99".into())), "`qwen99.block_count` is missing"),
        (number("rope.dimension_count", 0), "`qwen3next.rope.dimension_count` is 0, expected at least 2"),
        (
            o.metadata("tokenizer.ggml.model", Value::Str("bert".into())),
            "is `bert`, expected `gpt2` for qwen3next",
        ),
        (o.metadata("tokenizer.ggml.model", Value::Str("llama".into())), "is a list without `<0x00>`"),
        (o.metadata("tokenizer.ggml.pre", Value::Str("gpt9".into())), "unknown pre-tokenizer type: 'gpt9'"),
        (o.metadata("tokenizer.ggml.tokens", doubled()), "twice, expected distinct tokens"),
        (
            o.metadata("tokenizer.ggml.tokens", Value::Array(Array::Str(tokens[..639].to_vec()))),
            "`tokenizer.ggml.token_type` is an array of 640 values, expected one for each of 639 tokens",
        ),
        (o.metadata("tokenizer.ggml.eos_token_id", Value::U32(640)), "is 640, expected a token below 640"),
        (without(expert), "tensor `blk.1.ffn_up_exps.weight` is missing"),
        (without("output_norm.weight"), "tensor `output_norm.weight` is missing"),
        (
            o.tensor(expert, |t| t.name = "blk.1.extra.weight".into()),
            "tensor `blk.1.ffn_up_exps.weight` is missing",
        ),
        (
            o.tensor("output.weight", |t| t.name = "outptu.weight".into()),
            "unexpected tensor `outptu.weight` in a model of 5 layers",
        ),
        (o.tensor(expert, |t| t.offset = 0), "overlapping tensors `"),
        (o.tensor(expert, |t| t.offset += 32), "overlapping tensors `"),
        (
            o.tensor(expert, |t| t.offset = 1 << 40),
            "is truncated: tensor `blk.1.ffn_up_exps.weight` ends at byte",
        ),
        (o.tensor(expert, |t| t.offset += 1), "expected a multiple of 32"),
        (
            o.tensor("blk.0.ssm_conv1d.weight", |t| t.dims.reverse()),
            "tensor `blk.0.ssm_conv1d.weight` has shape",
        ),
        (o.tensor("blk.0.attn_norm.weight", |t| t.ty = GgmlType::F16), "has type F16, expected F32"),
        (o.tensor("blk.0.ssm_ba.weight", |t| t.ty = GgmlType::I16), "has type I16, expected a weight type"),
        (o.tensor(expert, |t| t.ty = GgmlType::Q8_0), "overlapping tensors `"),
    ];
    let wrong: Vec<String> = cases
        .into_iter()
        .filter_map(|(bytes, reason)| {
            let Output { status, stderr, .. } = run(&write(&folder, &bytes));
            let said = String::from_utf8(stderr).unwrap();
            (status.code() != Some(1) || !said.contains(reason))
                .then(|| format!("{reason}\n  {status}: {said}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_unknown_tensor_type_is_named() {
    let o = Original::read();
    let folder = tempfile::tempdir().unwrap();
    let name = b"output_norm.weight";
    let at = o.bytes.windows(name.len()).position(|w| w == name).unwrap() + name.len();
    let mut bytes = o.bytes.clone();
    // Rank, one extent, then the type.
    bytes[at + 12] = 200;
    let Output { status, stderr, .. } = run(&write(&folder, &bytes));
    let said = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("tensor `output_norm.weight` of type 200"), "{said}");
}

#[test]
fn a_missing_part_is_named() {
    let o = Original::read();
    let folder = tempfile::tempdir().unwrap();
    let bytes = o.with(|h| {
        h.metadata.set("split.no", Value::U16(0));
        h.metadata.set("split.count", Value::U16(2));
        h.metadata.set("split.tensors.count", Value::I32(93));
    });
    let path = folder.path().join("m-00001-of-00002.gguf");
    fs::write(&path, bytes).unwrap();
    let Output { status, stderr, .. } = run(&path);
    let said = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(
        said.contains("m-00002-of-00002.gguf") && said.contains("hint: all parts of a split model"),
        "{said}"
    );
}

/// A generator of the same numbers on every machine (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }
}

#[test]
fn no_mutation_crashes_the_process() {
    let originals = [Original::read(), Original::of(dense_gguf())];
    let folder = tempfile::tempdir().unwrap();
    let set = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let rounds = if std::env::var_os("GGRUN_SLOW_TESTS").is_some() { 2000 } else { 40 };
    let seed = set("GGRUN_TEST_SEED").unwrap_or(1);
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    for round in 0..rounds {
        let (bytes, what) = mutated(&originals[round % originals.len()], &mut dice);
        let path = write(&folder, &bytes);
        let Output { status, stderr, .. } = run(&path);
        let code = status.code();
        assert!(
            matches!(code, Some(0 | 1 | 4)),
            "round {round} of seed {seed}: {what}: {status}\n{}",
            String::from_utf8_lossy(&stderr)
        );
    }
}

/// One or two mutations: a metadata value, a tensor descriptor, or one byte of the header.
fn mutated(o: &Original, dice: &mut Dice) -> (Vec<u8>, String) {
    const NUMBERS: [u64; 14] = [0, 1, 2, 3, 4, 5, 7, 8, 16, 64, 127, 255, 65_535, u32::MAX as u64];
    if dice.roll(4) == 0 {
        let mut bytes = o.bytes.clone();
        let end = usize::try_from(o.header.data_offset).unwrap();
        let at = dice.roll(end);
        bytes[at] = u8::try_from(dice.roll(256)).unwrap();
        return (bytes, format!("byte {at}"));
    }
    let mut header = o.header.clone();
    let mut what = String::new();
    for _ in 0..=dice.roll(2) {
        if dice.roll(3) == 0 {
            let index = dice.roll(header.tensors.len());
            let count = header.tensors.len();
            let tensor = &mut header.tensors[index];
            write!(what, "{tensor:?} to ").unwrap();
            match dice.roll(4) {
                0 => tensor.ty = GgmlType::all().nth(dice.roll(GgmlType::all().count())).unwrap(),
                1 => tensor.dims.reverse(),
                2 => {
                    let extent = dice.roll(tensor.dims.len());
                    tensor.dims[extent] = NUMBERS[dice.roll(NUMBERS.len())];
                }
                _ => tensor.name.clone_from(&o.header.tensors[dice.roll(count)].name),
            }
            write!(what, "{tensor:?}; ").unwrap();
        } else {
            let keys: Vec<String> = header
                .metadata
                .iter()
                .map(|(k, _)| k.to_owned())
                .filter(|k| !k.contains("template"))
                .collect();
            let key = &keys[dice.roll(keys.len())];
            let number = NUMBERS[dice.roll(NUMBERS.len())];
            let small = u32::try_from(number).unwrap();
            let value = match (header.metadata.get(key).unwrap(), dice.roll(4)) {
                (_, 0) | (Value::U32(_), _) => Value::U32(small),
                (Value::F32(_), _) => Value::F32([0.0, -1.0, f32::NAN, f32::INFINITY, 1e30][dice.roll(5)]),
                (Value::Array(Array::Bool(list)), _) => {
                    Value::Array(Array::Bool(list.iter().map(|_| dice.roll(2) == 0).collect()))
                }
                (Value::Array(Array::I32(list)), _) => {
                    let mut list = list.clone();
                    let at = dice.roll(list.len());
                    list[at] = i32::try_from(dice.roll(9)).unwrap() - 1;
                    Value::Array(Array::I32(list))
                }
                (Value::Array(Array::Str(list)), _) => {
                    let mut list = list.clone();
                    let at = dice.roll(list.len());
                    ["", " ", "a", "ab c", "\u{1f600}", "\n", "Ġ"][dice.roll(7)].clone_into(&mut list[at]);
                    Value::Array(Array::Str(list))
                }
                (_, 1) => Value::U64(number << 32),
                (_, 2) => {
                    Value::Str(["", "none", "qwen2", "llama", "bert", "t5", "rwkv"][dice.roll(7)].to_owned())
                }
                (_, _) => Value::Bool(true),
            };
            match &value {
                Value::Array(_) => write!(what, "{key} to another; ").unwrap(),
                other => write!(what, "{key} to {other:?}; ").unwrap(),
            }
            header.metadata.set(key, value);
        }
    }
    (o.with(|h| *h = header), what)
}
