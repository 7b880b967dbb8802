//! The arena as a drawing: a line for each operator, the memory from left to right.

use core::fmt::Write as _;

use super::Plan;
use crate::graph::Graph;
use crate::lower::Work;

/// Characters of a line's memory.
const COLUMNS: usize = 64;

impl Plan {
    /// A line for each piece of work: what lives while it runs, `#` where the operator's own tensors lie.
    pub(crate) fn drawing(&self, graph: &Graph, work: &[Work]) -> String {
        let mut text = String::new();
        for (i, work) in work.iter().enumerate() {
            let (node, own) = match work {
                Work::Alias { node, from, to } => (*node, vec![*from, *to]),
                Work::Step(step) => {
                    let all = step.inputs.iter().chain(&step.outputs).chain(&step.states);
                    (step.node, all.copied().collect())
                }
            };
            let time = i + 1;
            let mut line = [' '; COLUMNS];
            let mut live = 0;
            for placed in &self.blocks {
                let block = placed.block;
                if block.size == 0 || time < block.start || block.end < time {
                    continue;
                }
                live += block.size;
                let is_own = placed.tensors.is_empty() || placed.tensors.iter().any(|tensor| own.contains(tensor));
                let from = placed.offset * COLUMNS / self.arena.max(1);
                let to = ((placed.offset + block.size) * COLUMNS).div_ceil(self.arena.max(1));
                line[from..to.min(COLUMNS)].fill(if is_own { '#' } else { '-' });
            }
            let mark = if i == self.peak { "  <- peak" } else { "" };
            let line: String = line.iter().collect();
            let node = &graph.nodes[node];
            let _ = writeln!(text, "{:4} {:28} |{line}| {live:8}{mark}", node.index, node.op.name());
        }
        text
    }
}
