//! `--ulimit` and `--shm-size`: what the commands of a build, or the one of a container, may use.
//!
//! Flattened into [`super::build::BuildFlags`] and [`super::run::RunFlags`]; set by the sandbox.

use clap::Args;
use kiln_graph::op::Ulimit;

use super::amount;

/// The flags.
#[derive(Debug, Clone, Default, Args)]
pub struct LimitFlags {
    /// Limit of what a command may use (NAME=SOFT or NAME=SOFT:HARD, as in "nofile=1024:2048"; -1 is unlimited); may be given
    /// several times
    #[arg(long = "ulimit", value_name = "NAME=SOFT[:HARD]")]
    ulimits: Vec<Ulimit>,
    /// Size of the memory that a command's processes can share, at /dev/shm (format: "128m"; default: 64m)
    #[arg(long, value_name = "BYTES", value_parser = size, allow_hyphen_values = true)]
    shm_size: Option<u64>,
}

impl LimitFlags {
    /// The limits, one of each name.
    pub fn ulimits(&self) -> Vec<Ulimit> {
        Ulimit::in_order(self.ulimits.iter().cloned())
    }

    /// The size of `/dev/shm` in bytes, if it is not the usual one: to docker, so is 0.
    pub fn shared_memory(&self) -> Option<u64> {
        self.shm_size.filter(|size| *size > 0)
    }
}

/// What the kernel can be told, and docker's clients can write down.
fn size(text: &str) -> Result<u64, String> {
    let size = amount::size(text).filter(|size| i64::try_from(*size).is_ok());
    size.ok_or_else(|| {
        format!("`{text}` is no size: it is a number of bytes, or has a unit, as 128m has (b, k, m, g)")
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(
            ["128m", "1.5G", "4096", "0", "64kb"].map(|text| size(text).unwrap()),
            [128 << 20, 3 << 29, 4096, 0, 64 << 10]
        );
        for wrong in ["", "many", "-1", "1x", "9223372036854775808"] {
            assert!(size(wrong).unwrap_err().contains(&format!("`{wrong}` is no size")), "{wrong}");
        }
    }
}
