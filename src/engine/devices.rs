//! Which devices a model's sessions run on, and what they are called.
//!
//! CUDA counts the devices that the process may see: with `CUDA_VISIBLE_DEVICES` set to a MIG slice, as NVIDIA's
//! device plugin does, that slice is device 0.

use std::collections::{BTreeMap, BTreeSet};

use super::LoadError;
use super::providers::unavailable;
use crate::model::{Execution, ProviderKind};

/// Where the sessions of one provider run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Devices {
    /// The name of all of them together: `cpu`, `cuda:0`, `cuda:0+1`.
    pub(super) name: String,
    /// CUDA's number of each; none where the provider has no such devices.
    pub(super) cuda: Vec<u32>,
}

impl Devices {
    /// Of the provider, by `devices` of the manifest, or the device in the provider's own table, or the first.
    pub(super) fn of(kind: ProviderKind, execution: &Execution) -> Result<Self, LoadError> {
        let ids = [&execution.cuda, &execution.tensorrt].map(|table| option(table.as_ref(), "device_id"));
        let cuda = match kind {
            ProviderKind::Cpu => return Ok(Self::named("cpu".into())),
            ProviderKind::Openvino => {
                let device = option(execution.openvino.as_ref(), "device_type");
                return Ok(Self::named(
                    device.map_or_else(|| "cpu".into(), |name| name.to_lowercase().replace('.', ":")),
                ));
            }
            // TensorRT has CUDA behind it, on the same device.
            ProviderKind::Cuda | ProviderKind::Tensorrt => match ids {
                [Some(one), Some(other)] if one != other => {
                    return Err(unavailable(
                        kind,
                        "two `device_id` that differ; leave them out and set `devices`",
                    ));
                }
                [one, other] => one.or(other),
            },
        };
        let cuda = match (&execution.devices, cuda) {
            (Some(_), Some(_)) => {
                return Err(unavailable(
                    kind,
                    "both `devices` and `device_id` are set; leave `device_id` out",
                ));
            }
            (Some(devices), None) => distinct(kind, devices)?,
            (None, Some(id)) => vec![number(kind, id)?],
            (None, None) => vec![0],
        };
        let names: Vec<String> = cuda.iter().map(u32::to_string).collect();
        Ok(Self { name: format!("cuda:{}", names.join("+")), cuda })
    }

    const fn named(name: String) -> Self {
        Self { name, cuda: Vec::new() }
    }

    /// Each device by itself; one without a number where there are none.
    pub(super) fn each(&self) -> Vec<Option<u32>> {
        if self.cuda.is_empty() { vec![None] } else { self.cuda.iter().copied().map(Some).collect() }
    }
}

fn option<'a>(table: Option<&'a BTreeMap<String, String>>, key: &str) -> Option<&'a str> {
    table?.get(key).map(String::as_str)
}

fn number(kind: ProviderKind, text: &str) -> Result<u32, LoadError> {
    text.trim()
        .parse()
        .map_err(|_| unavailable(kind, format!("device_id = {text:?}: expected a number from 0 on")))
}

fn distinct(kind: ProviderKind, devices: &[u32]) -> Result<Vec<u32>, LoadError> {
    let all: BTreeSet<u32> = devices.iter().copied().collect();
    if all.is_empty() || all.len() != devices.len() {
        return Err(unavailable(
            kind,
            format!("devices = {devices:?}: expected at least one, and each once"),
        ));
    }
    Ok(devices.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn execution(devices: Option<&[u32]>, id: Option<&str>) -> Execution {
        let table = id.map(|id| BTreeMap::from([("device_id".to_owned(), id.to_owned())]));
        Execution { devices: devices.map(<[u32]>::to_vec), cuda: table, ..Execution::default() }
    }

    #[test]
    fn devices_come_from_the_list_or_the_table_or_are_the_first() {
        let of = |devices: Option<&[u32]>, id| Devices::of(ProviderKind::Cuda, &execution(devices, id));
        let name = |devices, id| of(devices, id).unwrap().name;
        assert_eq!(name(None, None), "cuda:0");
        assert_eq!(name(None, Some("3")), "cuda:3");
        assert_eq!(name(Some(&[1, 0]), None), "cuda:1+0");
        assert_eq!(of(Some(&[1, 0]), None).unwrap().each(), [Some(1), Some(0)]);
        for (devices, id, said) in [
            (Some(&[1_u32][..]), Some("1"), "leave `device_id` out"),
            (Some(&[]), None, "at least one, and each once"),
            (Some(&[1, 1]), None, "at least one, and each once"),
            (None, Some("first"), "expected a number from 0 on"),
        ] {
            let error = of(devices, id).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn tensorrt_and_the_cuda_behind_it_are_on_one_device() {
        let table = |id: &str| Some(BTreeMap::from([("device_id".to_owned(), id.to_owned())]));
        let both =
            |one, other| Execution { cuda: table(one), tensorrt: table(other), ..Execution::default() };
        let of = |execution: &Execution| Devices::of(ProviderKind::Tensorrt, execution);
        assert_eq!(of(&both("1", "1")).unwrap().name, "cuda:1");
        assert_eq!(of(&Execution { cuda: table("2"), ..Execution::default() }).unwrap().name, "cuda:2");
        assert!(of(&both("1", "0")).unwrap_err().to_string().contains("differ"));
    }

    #[test]
    fn other_providers_have_devices_of_their_own() {
        let none = Execution::default();
        assert_eq!(Devices::of(ProviderKind::Tensorrt, &none).unwrap().name, "cuda:0");
        let cpu = Devices::of(ProviderKind::Cpu, &execution(Some(&[4]), None)).unwrap();
        assert_eq!((cpu.name.as_str(), cpu.each()), ("cpu", vec![None]));
        let table = BTreeMap::from([("device_type".to_owned(), "GPU.1".to_owned())]);
        let gpu = Execution { openvino: Some(table), ..none };
        assert_eq!(Devices::of(ProviderKind::Openvino, &gpu).unwrap().name, "gpu:1");
    }
}
