//! Models that tests make: graphs by hand, and their files.
#![allow(dead_code, reason = "each test file uses a part")]

use std::collections::HashMap;

use flatbuffers::{FlatBufferBuilder, TableFinishedWIPOffset, VOffsetT, WIPOffset};
use scrimp_build::{Conv, Element, Fused, Graph, Node, Op, Quant, Tensor, TensorId};

/// A field's place in a table.
const fn slot(field: u16) -> VOffsetT {
    4 + 2 * field
}

/// What a field of an operator's options holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value {
    Byte(i8),
    Int(i32),
    Float(f32),
    Bool(bool),
}

/// The number of an operator, the kind of its options, and those.
fn options(op: &Op) -> (i32, u8, Vec<(u16, Value)>) {
    let fused = |activation: Fused| {
        Value::Byte(match activation {
            Fused::None => 0,
            Fused::Relu => 1,
            Fused::ReluN1To1 => 2,
            Fused::Relu6 => 3,
            Fused::Tanh => 4,
            Fused::SignBit => 5,
            Fused::Other(other) => other,
        })
    };
    let padding = |conv: &Conv| {
        vec![(0, Value::Byte(i8::from(!conv.same))), (1, Value::Int(conv.stride_w)), (2, Value::Int(conv.stride_h))]
    };
    match op {
        Op::FullyConnected { activation, .. } => (9, 8, vec![(0, fused(*activation))]),
        Op::Softmax { beta } => (25, 9, vec![(0, Value::Float(*beta))]),
        Op::Add { activation } => (0, 11, vec![(0, fused(*activation))]),
        Op::Mul { activation } => (18, 21, vec![(0, fused(*activation))]),
        Op::Conv2d(conv) => {
            let mut fields = padding(conv);
            fields.extend([
                (3, fused(conv.activation)),
                (4, Value::Int(conv.dilation_w)),
                (5, Value::Int(conv.dilation_h)),
            ]);
            (3, 1, fields)
        }
        Op::DepthwiseConv2d { conv, multiplier } => {
            let mut fields = padding(conv);
            fields.extend([(3, Value::Int(*multiplier)), (4, fused(conv.activation))]);
            (4, 2, fields)
        }
        Op::Concatenation { axis, activation } => (2, 10, vec![(0, Value::Int(*axis)), (1, fused(*activation))]),
        Op::Mean { keep_dims } => (40, 27, vec![(0, Value::Bool(*keep_dims))]),
        Op::Reshape => (22, 0, vec![]),
        Op::Relu => (19, 0, vec![]),
        Op::Relu6 => (21, 0, vec![]),
        Op::Pad => (34, 0, vec![]),
        Op::Tanh => (28, 0, vec![]),
        Op::Logistic => (14, 0, vec![]),
        Op::Quantize => (114, 0, vec![]),
        Op::ReadVariable => (143, 0, vec![]),
        Op::Other { code, .. } => (*code, 0, vec![]),
        other => panic!("tests do not write {}", other.name()),
    }
}

fn number(element: Element) -> i8 {
    match element {
        Element::F32 => 0,
        Element::I32 => 2,
        Element::U8 => 3,
        Element::I64 => 4,
        Element::Bool => 6,
        Element::I16 => 7,
        Element::I8 => 9,
        Element::Resource => 13,
        Element::I4 => 17,
        Element::Other(other) => other,
    }
}

/// The `.tflite` file of a graph.
pub(crate) fn tflite(graph: &Graph) -> Vec<u8> {
    let mut f = FlatBufferBuilder::new();
    let f = &mut f;
    // Buffer 0 is empty.
    let mut buffers = vec![{
        let start = f.start_table();
        f.end_table(start)
    }];
    let mut buffer_of = HashMap::new();
    for (i, tensor) in graph.tensors.iter().enumerate() {
        let Some(data) = &tensor.data else { continue };
        let bytes = f.create_vector(data);
        let start = f.start_table();
        f.push_slot_always(slot(0), bytes);
        buffer_of.insert(i, buffers.len() as u32);
        buffers.push(f.end_table(start));
    }
    let tensors: Vec<_> =
        graph.tensors.iter().enumerate().map(|(i, t)| tensor(f, t, buffer_of.get(&i).copied().unwrap_or(0))).collect();
    let mut codes = Vec::new();
    let mut operators = Vec::new();
    for node in &graph.nodes {
        let (code, kind, fields) = options(&node.op);
        let start = f.start_table();
        f.push_slot::<i8>(slot(0), code.min(127) as i8, 0);
        f.push_slot::<i32>(slot(2), node.version, 1);
        f.push_slot::<i32>(slot(3), code, 0);
        codes.push(f.end_table(start));
        let table = (kind != 0).then(|| {
            let start = f.start_table();
            for (field, value) in fields {
                match value {
                    Value::Byte(value) => f.push_slot_always(slot(field), value),
                    Value::Int(value) => f.push_slot_always(slot(field), value),
                    Value::Float(value) => f.push_slot_always(slot(field), value),
                    Value::Bool(value) => f.push_slot_always(slot(field), value),
                }
            }
            f.end_table(start)
        });
        let inputs: Vec<i32> = node.inputs.iter().map(|input| input.map_or(-1, |id| id.0 as i32)).collect();
        let outputs: Vec<i32> = node.outputs.iter().map(|id| id.0 as i32).collect();
        let (inputs, outputs) = (f.create_vector(&inputs), f.create_vector(&outputs));
        let start = f.start_table();
        f.push_slot::<u32>(slot(0), codes.len() as u32 - 1, 0);
        f.push_slot_always(slot(1), inputs);
        f.push_slot_always(slot(2), outputs);
        f.push_slot::<u8>(slot(3), kind, 0);
        if let Some(table) = table {
            f.push_slot_always(slot(4), table);
        }
        operators.push(f.end_table(start));
    }
    let ids = |ids: &[TensorId]| ids.iter().map(|id| id.0 as i32).collect::<Vec<_>>();
    let (tensors, operators) = (f.create_vector(&tensors), f.create_vector(&operators));
    let (inputs, outputs) = (f.create_vector(&ids(&graph.inputs)), f.create_vector(&ids(&graph.outputs)));
    let start = f.start_table();
    f.push_slot_always(slot(0), tensors);
    f.push_slot_always(slot(1), inputs);
    f.push_slot_always(slot(2), outputs);
    f.push_slot_always(slot(3), operators);
    let subgraph = f.end_table(start);
    let (codes, subgraphs, buffers) =
        (f.create_vector(&codes), f.create_vector(&[subgraph]), f.create_vector(&buffers));
    let start = f.start_table();
    f.push_slot::<u32>(slot(0), 3, 0);
    f.push_slot_always(slot(1), codes);
    f.push_slot_always(slot(2), subgraphs);
    f.push_slot_always(slot(4), buffers);
    let model = f.end_table(start);
    f.finish(WIPOffset::<TableFinishedWIPOffset>::new(model.value()), Some("TFL3"));
    f.finished_data().to_vec()
}

fn tensor(f: &mut FlatBufferBuilder<'_>, tensor: &Tensor, buffer: u32) -> WIPOffset<TableFinishedWIPOffset> {
    let name = f.create_string(&tensor.name);
    let shape: Vec<i32> = tensor.shape.iter().map(|&extent| extent as i32).collect();
    let shape = f.create_vector(&shape);
    let quant = tensor.quant.as_ref().map(|quant| {
        let (scales, zero_points) = (f.create_vector(&quant.scales), f.create_vector(&quant.zero_points));
        let start = f.start_table();
        f.push_slot_always(slot(2), scales);
        f.push_slot_always(slot(3), zero_points);
        f.push_slot::<i32>(slot(6), quant.axis, 0);
        f.end_table(start)
    });
    let start = f.start_table();
    f.push_slot_always(slot(0), shape);
    f.push_slot::<i8>(slot(1), number(tensor.element), 0);
    f.push_slot::<u32>(slot(2), buffer, 0);
    f.push_slot_always(slot(3), name);
    if let Some(quant) = quant {
        f.push_slot_always(slot(4), quant);
    }
    f.push_slot::<bool>(slot(5), tensor.is_variable, false);
    f.end_table(start)
}

/// A graph that grows.
pub(crate) struct Net(pub(crate) Graph);

impl Net {
    pub(crate) fn new() -> Self {
        Self(Graph { name: "net".into(), tensors: vec![], nodes: vec![], inputs: vec![], outputs: vec![] })
    }

    pub(crate) fn tensor(&mut self, name: &str, element: Element, shape: &[usize]) -> TensorId {
        self.0.tensors.push(Tensor {
            name: name.into(),
            shape: shape.to_vec(),
            element,
            quant: None,
            data: None,
            is_variable: false,
        });
        TensorId(self.0.tensors.len() - 1)
    }

    /// An int8 activation of this scale and zero point.
    pub(crate) fn s8(&mut self, name: &str, shape: &[usize], scale: f32, zero_point: i64) -> TensorId {
        let id = self.tensor(name, Element::I8, shape);
        self.0.tensors[id.0].quant = Some(Quant { scales: vec![scale], zero_points: vec![zero_point], axis: 0 });
        id
    }

    pub(crate) fn input(&mut self, shape: &[usize], scale: f32, zero_point: i64) -> TensorId {
        let id = self.s8("input", shape, scale, zero_point);
        self.0.inputs.push(id);
        id
    }

    /// Constant weights, a scale a channel along the first axis.
    pub(crate) fn weights(&mut self, shape: &[usize], codes: &[i8], scales: &[f32]) -> TensorId {
        let id = self.tensor("weights", Element::I8, shape);
        let tensor = &mut self.0.tensors[id.0];
        tensor.quant = Some(Quant { scales: scales.to_vec(), zero_points: vec![0; scales.len()], axis: 0 });
        tensor.data = Some(codes.iter().map(|&code| code as u8).collect::<Vec<_>>().into());
        id
    }

    pub(crate) fn i32s(&mut self, name: &str, shape: &[usize], values: &[i32]) -> TensorId {
        let id = self.tensor(name, Element::I32, shape);
        self.0.tensors[id.0].data = Some(values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>().into());
        id
    }

    pub(crate) fn node(&mut self, op: Op, inputs: &[TensorId], output: TensorId) {
        let index = self.0.nodes.len();
        let inputs = inputs.iter().map(|&id| Some(id)).collect();
        self.0.nodes.push(Node { op, index, version: 1, inputs, outputs: vec![output] });
    }
}

/// Numbers that look random and are the same every time.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % below.max(1) as u64) as usize
    }

    pub(crate) fn codes(&mut self, count: usize) -> Vec<i8> {
        (0..count).map(|_| self.below(256) as u8 as i8).collect()
    }
}

/// A perceptron with a softmax: FULLY_CONNECTED (a scale a channel, RELU), RESHAPE, FULLY_CONNECTED, SOFTMAX.
pub(crate) fn perceptron() -> Net {
    let mut random = Random(1);
    let mut net = Net::new();
    let x = net.input(&[1, 12], 0.05, -3);
    let weights = net.weights(&[8, 12], &random.codes(96), &[0.01, 0.02, 0.03, 0.01, 0.02, 0.03, 0.01, 0.02]);
    let bias: Vec<i32> = (0..8).map(|_| random.below(2000) as i32 - 1000).collect();
    let bias = net.i32s("bias", &[8], &bias);
    let hidden = net.s8("hidden", &[1, 8], 0.1, -128);
    net.node(Op::FullyConnected { activation: Fused::Relu, shuffled: false }, &[x, weights, bias], hidden);
    let square = net.s8("square", &[2, 4], 0.1, -128);
    let shape = net.i32s("shape", &[2], &[2, 4]);
    net.node(Op::Reshape, &[hidden, shape], square);
    let weights = net.weights(&[3, 4], &random.codes(12), &[0.02]);
    let logits = net.s8("logits", &[2, 3], 0.2, 5);
    net.node(Op::FullyConnected { activation: Fused::None, shuffled: false }, &[square, weights], logits);
    let scores = net.s8("scores", &[2, 3], 1.0 / 256.0, -128);
    net.node(Op::Softmax { beta: 1.0 }, &[logits], scores);
    net.0.outputs = vec![scores];
    net
}
