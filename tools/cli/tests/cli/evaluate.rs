//! `scrimp evaluate` and the networks it reads, on tiny random ones: against f64, to the end, and bad files.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::sync::Mutex;

use flate2::Compression;
use flate2::write::GzEncoder;
use safetensors::tensor::{Dtype, TensorView};
use scrimp::Rows;
use scrimp_cli::dataset::{Dataset, Split};
use scrimp_cli::encoder::{Dense, Hooks, Layer};
use scrimp_cli::evaluate::Record;
use scrimp_cli::pretrained::{Data, Pretrained};

use crate::Folder;

const WIDTH: usize = 8;
const HEADS: usize = 2;
const HIDDEN: usize = 12;
const BLOCKS: usize = 2;
const WORDS: usize = 7;

struct Noise(u32);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as f32 / (1u32 << 23) as f32 - 1.0
    }

    fn some(&mut self, count: usize, spread: f32) -> Vec<f32> {
        (0..count).map(|_| spread * self.next()).collect()
    }
}

/// A file before it is written.
struct Tiny {
    floats: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    integers: BTreeMap<String, Vec<i32>>,
    metadata: HashMap<String, String>,
}

impl Tiny {
    /// A network of random weights and what it answers, computed in f64.
    fn new(input: &str) -> Self {
        let mut noise = Noise(7);
        let mut floats = BTreeMap::new();
        let mut put = |name: &str, shape: &[usize], spread: f32, around: f32| {
            let values = noise.some(shape.iter().product(), spread).iter().map(|v| v + around).collect();
            floats.insert(name.to_owned(), (shape.to_vec(), values));
        };
        for block in 0..BLOCKS {
            let layers =
                [("qkv", WIDTH, 3 * WIDTH), ("proj", WIDTH, WIDTH), ("fc1", WIDTH, HIDDEN), ("fc2", HIDDEN, WIDTH)];
            for (name, inputs, outputs) in layers {
                put(&format!("blocks.{block}.{name}.weight"), &[outputs, inputs], 0.8, 0.0);
                put(&format!("blocks.{block}.{name}.bias"), &[outputs], 0.3, 0.0);
            }
            for name in ["norm1", "norm2"] {
                put(&format!("blocks.{block}.{name}.weight"), &[WIDTH], 0.3, 1.0);
                put(&format!("blocks.{block}.{name}.bias"), &[WIDTH], 0.3, 0.0);
            }
        }
        let norm = if input == "pictures" { "norm" } else { "embedding.norm" };
        put(&format!("{norm}.weight"), &[WIDTH], 0.3, 1.0);
        put(&format!("{norm}.bias"), &[WIDTH], 0.3, 0.0);
        let mut integers = BTreeMap::new();
        let (order, epsilon) = if input == "pictures" {
            put("resize", &[112, 28], 0.3, 0.0);
            put("patch.weight", &[WIDTH, 196], 0.1, 0.0);
            put("patch.bias", &[WIDTH], 0.3, 0.0);
            put("class_token", &[WIDTH], 0.5, 0.0);
            put("position", &[64, WIDTH], 0.5, 0.0);
            put("probe.weight", &[1, 3, 2 * WIDTH], 1.0, 0.0);
            put("probe.bias", &[1, 3], 0.2, 0.0);
            ("pre", "1e-6")
        } else {
            put("words", &[WORDS, WIDTH], 1.0, 0.0);
            put("position", &[6, WIDTH], 0.5, 0.0);
            put("probe.weight", &[2, 2, WIDTH], 1.0, 0.0);
            put("probe.bias", &[2, 2], 0.2, 0.0);
            let mut texts = |name: &str, lengths: &[i32]| {
                let count: i32 = lengths.iter().sum();
                integers.insert(format!("{name}.tokens"), (0..count).map(|n| n * n % WORDS as i32).collect());
                integers.insert(format!("{name}.lengths"), lengths.to_vec());
            };
            texts("texts", &[1, 5, 2, 6, 3, 4]);
            texts("calibration", &[4, 6, 3, 5, 2]);
            integers.insert("texts.labels".into(), vec![0, 1, 0, 1, 0, 1]);
            integers.insert("texts.fold".into(), vec![0, 0, 1, 1, 0, 1]);
            ("post", "1e-12")
        };
        let metadata = [("model", "tiny"), ("input", input), ("heads", "2"), ("epsilon", epsilon), ("order", order)];
        let metadata = metadata.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let mut this = Self { floats, integers, metadata };
        let (mut tokens, mut features) = (Vec::new(), Vec::new());
        for data in this.tested().iter().take(4) {
            let reference = this.reference(data);
            tokens.extend(reference.iter().flatten().map(|&v| v as f32));
            features.extend(this.pooled(&reference).iter().map(|&v| v as f32));
        }
        this.floats.insert("reference.tokens".into(), (vec![tokens.len()], tokens));
        this.floats.insert("reference.features".into(), (vec![features.len()], features));
        this
    }

    fn bytes(&self) -> Vec<u8> {
        let floats = self.floats.iter().map(|(name, (shape, values))| {
            (name, Dtype::F32, shape.clone(), values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())
        });
        let integers = self.integers.iter().map(|(name, values)| {
            (name, Dtype::I32, vec![values.len()], values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())
        });
        let all: Vec<_> = floats.chain(integers).collect();
        let views = all.iter().map(|(n, t, s, b)| (n.as_str(), TensorView::new(*t, s.clone(), b).expect("a tensor")));
        safetensors::serialize(views, Some(self.metadata.clone())).expect("safetensors")
    }

    fn tested(&self) -> Vec<Data> {
        if self.metadata["input"] == "pictures" {
            return pictures(5).chunks(784).map(|p| Data::Picture(p.to_vec())).collect();
        }
        let mut tokens = self.integers["texts.tokens"].iter().map(|&t| t as usize);
        let lengths = &self.integers["texts.lengths"];
        lengths.iter().map(|&n| Data::Text(tokens.by_ref().take(n as usize).collect())).collect()
    }

    fn get(&self, name: &str) -> Vec<f64> {
        self.floats[name].1.iter().map(|&v| v.into()).collect()
    }

    fn linear(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let (weight, bias) = (self.get(&format!("{name}.weight")), self.get(&format!("{name}.bias")));
        let rows = weight.chunks(x.len()).zip(bias);
        rows.map(|(row, bias)| bias + row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>()).collect()
    }

    fn norm(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let epsilon: f64 = self.metadata["epsilon"].parse().expect("a number");
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64;
        let affine = self.get(&format!("{name}.weight")).into_iter().zip(self.get(&format!("{name}.bias")));
        x.iter().zip(affine).map(|(x, (w, b))| (x - mean) / (variance + epsilon).sqrt() * w + b).collect()
    }

    /// The last tokens, term by term in f64.
    fn reference(&self, data: &Data) -> Vec<Vec<f64>> {
        let pre = self.metadata["order"] == "pre";
        let mut x: Vec<Vec<f64>> = match data {
            Data::Text(text) => {
                let (words, places) = (self.get("words"), self.get("position"));
                let token = |(n, word): (usize, &usize)| {
                    let sum: Vec<f64> = (0..WIDTH).map(|c| words[word * WIDTH + c] + places[n * WIDTH + c]).collect();
                    self.norm("embedding.norm", &sum)
                };
                text.iter().enumerate().map(token).collect()
            }
            Data::Picture(pixels) => {
                let (resize, places) = (self.get("resize"), self.get("position"));
                let pixel = |y: usize, x: usize| {
                    let mut sum = 0.0;
                    for i in 0..28 {
                        for j in 0..28 {
                            sum += resize[y * 28 + i] * resize[x * 28 + j] * f64::from(pixels[i * 28 + j]) / 255.0;
                        }
                    }
                    sum
                };
                let mut x = vec![self.get("class_token")];
                for n in 0..64 {
                    let (top, left) = (n / 8 * 14, n % 8 * 14);
                    let patch: Vec<f64> = (0..196).map(|p| pixel(top + p / 14, left + p % 14)).collect();
                    let token = self.linear("patch", &patch);
                    x.push(token.iter().enumerate().map(|(c, v)| v + places[n * WIDTH + c]).collect());
                }
                x
            }
        };
        for block in 0..BLOCKS {
            let name = |layer: &str| format!("blocks.{block}.{layer}");
            let norm = |layer: &str, x: &[Vec<f64>]| -> Vec<Vec<f64>> {
                x.iter().map(|x| self.norm(&name(layer), x)).collect()
            };
            let add = |x: &[Vec<f64>], y: Vec<Vec<f64>>| -> Vec<Vec<f64>> {
                x.iter().zip(y).map(|(x, y)| x.iter().zip(y).map(|(x, y)| x + y).collect()).collect()
            };
            let inner = if pre { norm("norm1", &x) } else { x.clone() };
            let qkv: Vec<_> = inner.iter().map(|x| self.linear(&name("qkv"), x)).collect();
            let channels = WIDTH / HEADS;
            let mix = |query: &Vec<f64>| {
                let mut mixed = vec![0.0; WIDTH];
                for head in 0..HEADS {
                    let part = |row: &[f64], which: usize, c: usize| row[which * WIDTH + head * channels + c];
                    let dot = |key: &Vec<f64>| (0..channels).map(|c| part(query, 0, c) * part(key, 1, c)).sum::<f64>();
                    let weights: Vec<f64> = qkv.iter().map(|key| (dot(key) / (channels as f64).sqrt()).exp()).collect();
                    let sum: f64 = weights.iter().sum();
                    for c in 0..channels {
                        let values = qkv.iter().zip(&weights).map(|(value, w)| w / sum * part(value, 2, c));
                        mixed[head * channels + c] = values.sum();
                    }
                }
                self.linear(&name("proj"), &mixed)
            };
            x = add(&x, qkv.iter().map(mix).collect());
            if !pre {
                x = norm("norm1", &x);
            }
            let gelu = |x: f64| 0.5 * x * (1.0 + libm::erf(x / 2f64.sqrt()));
            let inner = if pre { norm("norm2", &x) } else { x.clone() };
            let feed = |x: &Vec<f64>| {
                let hidden: Vec<f64> = self.linear(&name("fc1"), x).into_iter().map(gelu).collect();
                self.linear(&name("fc2"), &hidden)
            };
            x = add(&x, inner.iter().map(feed).collect());
            if !pre {
                x = norm("norm2", &x);
            }
        }
        if pre { x.iter().map(|x| self.norm("norm", x)).collect() } else { x }
    }

    fn pooled(&self, tokens: &[Vec<f64>]) -> Vec<f64> {
        let skipped = usize::from(self.metadata["input"] == "pictures");
        let rest = &tokens[skipped..];
        let mut all: Vec<f64> = tokens[..skipped].concat();
        all.extend((0..WIDTH).map(|c| rest.iter().map(|t| t[c]).sum::<f64>() / rest.len() as f64));
        let length = all.iter().map(|v| v * v).sum::<f64>().sqrt();
        all.iter().map(|v| v / length).collect()
    }
}

fn pictures(count: usize) -> Vec<u8> {
    let mut noise = Noise(3);
    (0..784 * count).map(|n| if n % 28 < 9 { 0 } else { (noise.next() * 127.0 + 128.0) as u8 }).collect()
}

/// The IDX files of five pictures a split.
fn put_data_set(folder: &Folder) {
    let zipped = |header: usize, data: &[u8]| {
        let mut file = GzEncoder::new(Vec::new(), Compression::fast());
        file.write_all(&vec![0; header]).and_then(|()| file.write_all(data)).expect("memory");
        file.finish().expect("memory")
    };
    for stem in ["train", "t10k"] {
        folder.put(&format!("{stem}-images-idx3-ubyte.gz"), zipped(16, &pictures(5)));
        folder.put(&format!("{stem}-labels-idx1-ubyte.gz"), zipped(8, &[0, 1, 2, 0, 1]));
    }
}

fn records(folder: &Folder, name: &str) -> Vec<Record> {
    serde_json::from_slice(&folder.get(name)).expect("records")
}

#[test]
fn tokens_and_features_are_those_of_f64() {
    let folder = Folder::new();
    put_data_set(&folder);
    for input in ["texts", "pictures"] {
        let tiny = Tiny::new(input);
        let net = Pretrained::read(&tiny.bytes()).expect(input);
        let (tested, seen) = net.inputs(folder.path(), 100, 3).expect(input);
        assert_eq!(tested.iter().map(|i| i.data.clone()).collect::<Vec<_>>(), tiny.tested());
        assert_eq!(seen.len(), 3);
        let worst = net.check(&tested).expect(input);
        assert!(worst < 2e-5, "{input}: {worst}");
    }
}

#[test]
fn hooks_see_every_layer_in_its_order() {
    #[derive(Default)]
    struct Calls(Mutex<Vec<String>>);
    impl Hooks for Calls {
        fn linear(&self, layer: Layer, dense: &Dense, x: &[f32], y: &mut [f32], rows: usize) -> anyhow::Result<()> {
            self.0.lock().unwrap().push(format!("{layer} {rows}x{}", dense.inputs()));
            dense.run(x, y, rows)
        }
        fn softmax(&self, block: usize, scores: &mut [f32], rows: Rows) -> anyhow::Result<()> {
            self.0.lock().unwrap().push(format!("softmax {block} {}x{}", rows.rows(), rows.cols()));
            Ok(scrimp::softmax_f32_in_place(scores, rows)?)
        }
        fn gelu(&self, block: usize, x: &mut [f32]) -> anyhow::Result<()> {
            self.0.lock().unwrap().push(format!("gelu {block} {}", x.len()));
            scrimp::nn::gelu_f32_in_place(x);
            Ok(())
        }
    }
    let net = Pretrained::read(&Tiny::new("texts").bytes()).expect("a network");
    let calls = Calls::default();
    net.tokens(&Data::Text(vec![1, 2, 3]), &calls).expect("tokens");
    let block = |b| {
        [
            format!("blocks.{b}.qkv 3x8"),
            format!("softmax {b} 3x3"),
            format!("softmax {b} 3x3"),
            format!("blocks.{b}.proj 3x8"),
            format!("blocks.{b}.fc1 3x8"),
            format!("gelu {b} 36"),
            format!("blocks.{b}.fc2 3x12"),
        ]
    };
    assert_eq!(calls.0.into_inner().unwrap(), [block(0), block(1)].concat());
}

#[test]
fn figures_are_written_kept_and_replaced() {
    let folder = Folder::new();
    let tiny = Tiny::new("texts");
    folder.put("tiny.safetensors", tiny.bytes());
    let all = ["evaluate", "tiny.safetensors", "--resume", "kept", "--json", "out.json", "--parts"];
    folder.ok(&[&all[..], &["gelu-8,softmax-2"]].concat());
    let first = records(&folder, "out.json");
    assert_eq!(first.len(), 11);
    // f32 by hand: the classifier of each text's fold on the reference's features.
    let (weight, bias) = (tiny.get("probe.weight"), tiny.get("probe.bias"));
    let right = |(n, data): (usize, &Data)| {
        let features = tiny.pooled(&tiny.reference(data));
        let fold = tiny.integers["texts.fold"][n] as usize;
        let logit = |class: usize| {
            let row = &weight[(fold * 2 + class) * WIDTH..][..WIDTH];
            bias[fold * 2 + class] + row.iter().zip(&features).map(|(w, f)| w * f).sum::<f64>()
        };
        i32::from(logit(1) > logit(0)) == tiny.integers["texts.labels"][n]
    };
    let share = tiny.tested().iter().enumerate().filter(|&(n, data)| right((n, data))).count() as f64 / 6.0;
    assert_eq!((first[0].quantizer.as_str(), first[0].inputs), ("f32", 6));
    assert!((first[0].accuracy - 100.0 * share).abs() < 0.01, "{} instead of {share}", first[0].accuracy);
    let ours = &first[5];
    assert_eq!((ours.quantizer.as_str(), ours.part.as_str(), ours.to_ours), ("AdaLog, ours", "GELU", Some(0.0)));
    assert_eq!(ours.command, "scrimp evaluate tiny.safetensors --parts gelu-8,softmax-2 --json out.json");

    // Kept answers are taken: were they not, these wrong ones would not be seen.
    let kept: Vec<_> = std::fs::read_dir(folder.path().join("kept")).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(kept.len(), 11);
    let changed = kept.iter().find(|p| p.to_string_lossy().contains("GELU-8-log2")).expect("a kept file");
    std::fs::write(changed, [0; 6]).unwrap();
    folder.ok(&[&all[..], &["gelu-8"]].concat());
    let second = records(&folder, "out.json");
    assert_eq!(second.len(), 11);
    for (old, new) in first.iter().zip(&second) {
        let same = |r: &Record| (r.part.clone(), r.bits, r.quantizer.clone());
        assert_eq!(same(old), same(new));
        assert_eq!(new.quantizer == "log2" && new.part == "GELU", new.accuracy < 1e-9, "{new:?}");
        assert_eq!(new.part == "softmax", new.command == old.command);
    }
}

#[test]
fn pictures_of_both_networks() {
    let folder = Folder::new();
    put_data_set(&folder);
    folder.put("tiny.safetensors", Tiny::new("pictures").bytes());
    let weights = concat!(env!("CARGO_MANIFEST_DIR"), "/../train/weights/vit-fashion.safetensors");
    folder.ok(&["evaluate", "tiny.safetensors", "--data", ".", "--parts", "softmax-3", "--json", "out.json"]);
    folder.ok(&["evaluate", weights, "--data", ".", "--test", "4", "--parts", "gelu-3", "--json", "out.json"]);
    let all = records(&folder, "out.json");
    assert_eq!(all.len(), 12);
    assert!(all[..6].iter().all(|r| r.model == "tiny" && r.inputs == 5));
    assert!(all[6..].iter().all(|r| r.model == "small Fashion-MNIST transformer" && r.inputs == 4));
}

#[test]
fn bad_files_are_refused() {
    let folder = Folder::new();
    let refused = |change: &dyn Fn(&mut Tiny), words: &[&str]| {
        let mut tiny = Tiny::new("texts");
        change(&mut tiny);
        folder.put("bad.safetensors", tiny.bytes());
        let args = ["evaluate", "bad.safetensors", "--resume", "kept", "--json", "out.json", "--parts", "gelu-4"];
        folder.refuses(&args, &[words, &["bad.safetensors"]].concat());
    };
    let without = |name: &'static str| move |tiny: &mut Tiny| drop(tiny.floats.remove(name));
    refused(&without("blocks.1.proj.weight"), &["blocks.1.proj.weight is missing"]);
    refused(&without("words"), &["words is missing"]);
    let says = |key: &'static str, value: &'static str| {
        move |tiny: &mut Tiny| drop(tiny.metadata.insert(key.to_owned(), value.to_owned()))
    };
    refused(&says("order", "sandwich"), &["order", "sandwich"]);
    refused(&says("heads", "3"), &["8 channels", "3 heads"]);
    refused(&says("heads", "0"), &["0 heads"]);
    refused(&says("epsilon", "0"), &["epsilon"]);
    refused(&says("input", "sounds"), &["input", "sounds"]);
    let integers = |name: &'static str, at: usize, value: i32| {
        move |tiny: &mut Tiny| tiny.integers.get_mut(name).expect("a tensor")[at] = value
    };
    refused(&integers("texts.tokens", 3, 7), &["texts.tokens", "not in the table"]);
    refused(&integers("texts.tokens", 3, -1), &["texts.tokens", "below 0"]);
    refused(&integers("texts.lengths", 1, 4), &["texts.tokens is too long"]);
    refused(&integers("calibration.lengths", 1, 60), &["calibration.tokens is too short"]);
    refused(&integers("texts.lengths", 0, 0), &["empty"]);
    refused(&integers("texts.fold", 2, 2), &["texts.fold"]);
    let adds = |name: &'static str, wrong: f32| {
        move |tiny: &mut Tiny| tiny.floats.get_mut(name).expect("a tensor").1[20] += wrong
    };
    refused(&adds("reference.tokens", 0.01), &["differ from Python's"]);
    for name in ["reference.tokens", "blocks.1.fc1.weight", "words", "probe.weight"] {
        refused(&adds(name, f32::NAN), &[name, "not finite"]);
    }
    let shaped = |name: &'static str, shape: &'static [usize]| {
        move |tiny: &mut Tiny| tiny.floats.get_mut(name).expect("a tensor").0 = shape.to_vec()
    };
    refused(&shaped("blocks.0.fc1.weight", &[WIDTH, HIDDEN]), &["blocks.0.fc1.weight", "[8, 12]", "[12, 8]"]);
    refused(&shaped("words", &[WIDTH, WORDS]), &["words", "[8, 7]"]);
    refused(&shaped("position", &[WIDTH * 6]), &["position", "[48]"]);
    refused(&shaped("probe.weight", &[2, WIDTH, 2]), &["probe.weight", "[2, 8, 2]"]);
    refused(&shaped("probe.bias", &[4]), &["probe.bias"]);

    folder.put("tiny.safetensors", Tiny::new("texts").bytes());
    folder.refuses(&["evaluate", "tiny.safetensors", "--parts", "all-4"], &["all-B"]);
    folder.refuses(&["evaluate", "tiny.safetensors", "--parts", "relu-4"], &["relu"]);
    folder.refuses(&["evaluate", "tiny.safetensors", "--parts", "gelu-9"], &["gelu-9"]);
    folder.refuses(&["evaluate", "tiny.safetensors", "--test", "0"], &["nothing to test on"]);
    folder.put("out.json", "{}");
    folder.refuses(&["evaluate", "tiny.safetensors", "--json", "out.json"], &["out.json"]);
}

/// `cat a.gz b.gz` is a gzip file too, and means what `a` and `b` mean behind each other.
#[test]
fn a_data_set_of_several_gzip_members_is_read_whole() {
    let folder = Folder::new();
    let zipped = |parts: &[&[u8]]| -> Vec<u8> {
        let member = |part: &&[u8]| {
            let mut file = GzEncoder::new(Vec::new(), Compression::fast());
            file.write_all(part).expect("memory");
            file.finish().expect("memory")
        };
        parts.iter().flat_map(member).collect()
    };
    let (all, labels) = (pictures(5), [0, 1, 2, 3, 4]);
    let (images, header) = (all.split_at(784 * 2 + 5), [0; 16]);
    folder.put("t10k-images-idx3-ubyte.gz", zipped(&[&header, images.0, &[], images.1]));
    folder.put("t10k-labels-idx1-ubyte.gz", zipped(&[&[&header[..8], &labels[..1]].concat(), &labels[1..]]));
    let set = Dataset::load(folder.path(), Split::Test).expect("both parts");
    assert_eq!((set.pictures, set.labels), (all, labels.to_vec()));
}
