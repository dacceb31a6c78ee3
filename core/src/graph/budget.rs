//! Whether the machine has room for one more build.
//!
//! What a step will take is what it took the last time. Downloads and copies
//! out of caches are not counted: they wait for a network.

use std::collections::HashMap;

use osbuild_store::local::Usage;

use super::plan::NodeId;

/// What a build is expected to keep busy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Need {
    /// Processors, on average.
    pub(crate) cores: f64,
    pub(crate) memory_bytes: u64,
}

/// Of a step that never ran here: one compiler of a language that takes much.
const UNKNOWN: Need = Need { cores: 1.0, memory_bytes: 1 << 30 };

/// A processor that is less idle than this is not worth another build: steps
/// that use all processors keep them busy for some 90 % of the time.
const IDLE_CORES: f64 = 0.5;

impl Need {
    /// What a step took, on a machine that had room for it.
    pub(crate) fn of(usage: Option<&Usage>) -> Self {
        let Some(Usage { wall_ms, processes: Some(processes) }) = usage else { return UNKNOWN };
        let cores = processes.cpu_ms as f64 / (*wall_ms).max(1) as f64;
        // As if all that ran at the same time were as large as the largest.
        let memory_bytes = (processes.largest_bytes as f64 * cores.max(1.0)) as u64;
        Self { cores, memory_bytes }
    }
}

/// What running builds leave.
#[derive(Debug)]
pub(crate) struct Budget {
    cores: f64,
    running: HashMap<NodeId, Need>,
    /// The memory there was when nothing of ours ran.
    memory_bytes: u64,
}

impl Budget {
    pub(crate) fn new(cores: usize) -> Self {
        Self { cores: cores as f64, running: HashMap::new(), memory_bytes: 0 }
    }

    /// Whether a build may start beside those that run. Something always may: a
    /// machine that is too small for a step is the user's to know.
    ///
    /// What is asked for is the step that most waits for, and if it has to wait,
    /// smaller ones behind it do, too: they would keep it from ever starting.
    pub(crate) fn has_room(&self, need: Need, available_bytes: u64, cores_count: bool) -> bool {
        if self.running.is_empty() {
            return true;
        }
        let busy: f64 = self.running.values().map(|need| need.cores).sum();
        let promised: u64 = self.running.values().map(|need| need.memory_bytes).sum();
        // What runs may not have grown to its size yet, or be larger than expected.
        (!cores_count || busy + IDLE_CORES <= self.cores)
            && promised.saturating_add(need.memory_bytes) <= self.memory_bytes
            && need.memory_bytes <= available_bytes
    }

    pub(crate) fn start(&mut self, id: NodeId, need: Need, available_bytes: u64) {
        if self.running.is_empty() {
            self.memory_bytes = available_bytes;
        }
        self.running.insert(id, need);
    }

    pub(crate) fn end(&mut self, id: NodeId) {
        self.running.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use osbuild_store::local::ProcessUsage;

    use super::*;

    const GIB: u64 = 1 << 30;

    fn need(wall_ms: u64, cpu_ms: u64, largest_bytes: u64) -> Need {
        let processes = Some(ProcessUsage { cpu_ms, largest_bytes });
        Need::of(Some(&Usage { wall_ms, processes }))
    }

    #[test]
    fn needs_follow_from_what_was_used() {
        assert_eq!(need(1000, 3500, GIB), Need { cores: 3.5, memory_bytes: GIB * 7 / 2 });
        assert_eq!(need(1000, 100, GIB), Need { cores: 0.1, memory_bytes: GIB });
        assert_eq!(need(0, 0, 0), Need { cores: 0.0, memory_bytes: 0 });
        assert_eq!(Need::of(Some(&Usage { wall_ms: 5, processes: None })), UNKNOWN);
        assert_eq!(Need::of(None), UNKNOWN);
    }

    /// How many of `needs` run at the same time.
    fn started(cores: usize, memory_bytes: u64, needs: &[Need]) -> usize {
        let mut budget = Budget::new(cores);
        for (index, need) in needs.iter().enumerate() {
            if !budget.has_room(*need, memory_bytes, true) {
                return index;
            }
            budget.start(NodeId::new(index), *need, memory_bytes);
        }
        needs.len()
    }

    #[test]
    fn processors_and_memory_are_not_promised_twice() {
        let light = need(1000, 100, GIB / 16);
        let heavy = need(1000, 3800, GIB / 4);
        for (cores, memory, needs, expected) in [
            // One that takes the machine has it for itself.
            (4, 64 * GIB, vec![heavy, light], 1),
            // One that waits for a disk leaves room.
            (4, 64 * GIB, vec![light, light, light, light, light, light, heavy, light], 7),
            // Nothing is known of any.
            (4, 64 * GIB, vec![UNKNOWN; 8], 4),
            (1, 64 * GIB, vec![UNKNOWN; 8], 1),
            // Memory ends first.
            (16, 3 * GIB, vec![UNKNOWN; 8], 3),
            // What is larger than the machine runs alone.
            (16, GIB / 2, vec![UNKNOWN; 8], 1),
        ] {
            assert_eq!(started(cores, memory, &needs), expected, "{cores} cores, {memory} bytes, {needs:?}");
        }
    }

    #[test]
    fn what_ended_makes_room() {
        let mut budget = Budget::new(1);
        budget.start(NodeId::new(0), UNKNOWN, GIB);
        assert!(!budget.has_room(UNKNOWN, GIB, true));
        assert!(!budget.has_room(UNKNOWN, 8 * GIB, false), "the memory was promised");
        budget.end(NodeId::new(0));
        assert!(budget.has_room(UNKNOWN, GIB, true));
    }

    #[test]
    fn memory_that_others_took_is_gone() {
        let mut budget = Budget::new(8);
        budget.start(NodeId::new(0), UNKNOWN, 64 * GIB);
        assert!(budget.has_room(UNKNOWN, 2 * GIB, true));
        assert!(!budget.has_room(UNKNOWN, GIB / 2, true));
    }
}
