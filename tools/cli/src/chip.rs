//! Processors and boards that projects are made for: how a program is compiled for each, and which emulator runs it.

/// A processor, as compilers see it.
#[derive(Clone, Copy, Debug)]
pub struct Chip {
    /// Arm's name, as `scrimp compile --target` takes it.
    pub name: &'static str,
    /// The target of `rustc`.
    pub target: &'static str,
    /// Flags of `rustc` besides the target.
    pub rustflags: &'static [&'static str],
    /// What Arm's GCC is given for the same calling convention.
    pub gcc: &'static str,
    /// The library's backend there.
    pub backend: &'static str,
}

/// A board of QEMU, or a processor with memory that is still to be filled in.
#[derive(Clone, Copy, Debug)]
pub struct Board {
    /// As `--board` takes it.
    pub name: &'static str,
    /// One line about it.
    pub about: &'static str,
    /// Its processor.
    pub chip: &'static Chip,
    /// The machine of `qemu-system-arm` that runs its programs.
    pub machine: &'static str,
    /// The memory of that machine, for the linker.
    pub memory: &'static str,
}

/// Every processor.
pub static CHIPS: [Chip; 7] = [
    Chip {
        name: "cortex-m0",
        target: "thumbv6m-none-eabi",
        rustflags: &[],
        gcc: "-mcpu=cortex-m0 -mthumb",
        backend: "scalar",
    },
    Chip {
        name: "cortex-m0plus",
        target: "thumbv6m-none-eabi",
        rustflags: &[],
        gcc: "-mcpu=cortex-m0plus -mthumb",
        backend: "scalar",
    },
    Chip {
        name: "cortex-m3",
        target: "thumbv7m-none-eabi",
        rustflags: &[],
        gcc: "-mcpu=cortex-m3 -mthumb",
        backend: "scalar",
    },
    Chip {
        name: "cortex-m4f",
        target: "thumbv7em-none-eabihf",
        rustflags: &[],
        gcc: "-mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16",
        backend: "dsp",
    },
    Chip {
        name: "cortex-m7",
        target: "thumbv7em-none-eabihf",
        rustflags: &[],
        gcc: "-mcpu=cortex-m7 -mthumb -mfloat-abi=hard -mfpu=fpv5-sp-d16",
        backend: "dsp",
    },
    Chip {
        name: "cortex-m33",
        target: "thumbv8m.main-none-eabihf",
        rustflags: &["-Ctarget-cpu=cortex-m33"],
        gcc: "-mcpu=cortex-m33 -mthumb -mfloat-abi=hard -mfpu=fpv5-sp-d16",
        backend: "dsp",
    },
    Chip {
        name: "cortex-m55",
        target: "thumbv8m.main-none-eabihf",
        // The M33 by name and the vector unit by features: `core` for the M55 by name can fail in LLVM.
        rustflags: &["-Ctarget-cpu=cortex-m33", "-Ctarget-feature=+mve.fp,+lob"],
        gcc: "-mcpu=cortex-m55 -mthumb -mfloat-abi=hard",
        backend: "helium",
    },
];

/// Every board.
pub static BOARDS: [Board; 12] = [
    board("microbit", "BBC micro:bit, Cortex-M0", &CHIPS[0]),
    board("mps2-an385", "Arm MPS2, Cortex-M3", &CHIPS[2]),
    board("mps2-an386", "Arm MPS2, Cortex-M4F", &CHIPS[3]),
    board("mps2-an500", "Arm MPS2, Cortex-M7", &CHIPS[4]),
    board("mps2-an505", "Arm MPS2+, Cortex-M33", &CHIPS[5]),
    board("mps3-an547", "Arm MPS3, Cortex-M55 with Helium", &CHIPS[6]),
    Board { name: "generic-cortex-m0", ..board("microbit", "any Cortex-M0 or M0+", &CHIPS[0]) },
    Board { name: "generic-cortex-m3", ..board("mps2-an385", "any Cortex-M3", &CHIPS[2]) },
    Board { name: "generic-cortex-m4f", ..board("mps2-an386", "any Cortex-M4 with FPU", &CHIPS[3]) },
    Board { name: "generic-cortex-m7", ..board("mps2-an500", "any Cortex-M7", &CHIPS[4]) },
    Board { name: "generic-cortex-m33", ..board("mps2-an505", "any Cortex-M33 with DSP and FPU", &CHIPS[5]) },
    Board { name: "generic-cortex-m55", ..board("mps3-an547", "any Cortex-M55 with Helium", &CHIPS[6]) },
];

impl Board {
    /// The board of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        BOARDS.iter().find(|board| board.name == name)
    }

    /// Whether its memory is a stand-in for that of the user's chip.
    #[must_use]
    pub fn is_generic(&self) -> bool {
        self.name != self.machine
    }
}

/// A machine of the emulator.
const fn board(machine: &'static str, about: &'static str, chip: &'static Chip) -> Board {
    let memory = match machine.as_bytes() {
        b"microbit" => include_str!("new/memory/microbit.x"),
        b"mps2-an385" => include_str!("new/memory/mps2-an385.x"),
        b"mps2-an386" => include_str!("new/memory/mps2-an386.x"),
        b"mps2-an500" => include_str!("new/memory/mps2-an500.x"),
        b"mps2-an505" => include_str!("new/memory/mps2-an505.x"),
        _ => include_str!("new/memory/mps3-an547.x"),
    };
    Board { name: machine, about, chip, machine, memory }
}
