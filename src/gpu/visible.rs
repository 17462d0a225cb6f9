//! Which GPUs CUDA shows to this process, and in which order: `cuda:0` need not be the driver's first.
//!
//! Pure: the values of the variables come in, names of devices go out. Read as CUDA reads them: a list
//! ends at its first invalid entry, and a repeated one makes it empty.

/// The environment variables by which CUDA numbers its devices, as the process has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visible {
    /// `CUDA_VISIBLE_DEVICES`; none where it is not set.
    pub devices: Option<String>,
    /// `CUDA_DEVICE_ORDER`; none where it is not set.
    pub order: Option<String>,
}

/// A GPU as the driver lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) uuid: String,
    pub(super) name: String,
}

/// How a device of CUDA's is found in the driver's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// By its place.
    Gpu(usize),
    /// A slice, by its UUID.
    Slice(String),
}

/// Why there is no such device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hidden {
    /// CUDA has fewer devices.
    Absent,
    /// CUDA orders different GPUs by their speed, and the driver by their bus.
    Unordered,
}

impl Visible {
    /// Where CUDA's device `index` is in the driver's list.
    pub(super) fn place(&self, index: usize, listed: &[Listed]) -> Result<Place, Hidden> {
        let Some(text) = &self.devices else {
            self.ordered(listed)?;
            return (index < listed.len()).then_some(Place::Gpu(index)).ok_or(Hidden::Absent);
        };
        let is_by_name = text.starts_with(GPU) || text.starts_with(SLICE);
        let places = if is_by_name { by_name(text, listed) } else { by_number(text, listed.len()) };
        let place = places.into_iter().nth(index).ok_or(Hidden::Absent)?;
        if !is_by_name {
            self.ordered(listed)?;
        }
        Ok(place)
    }

    /// Whether a number means the same to CUDA and to the driver.
    fn ordered(&self, listed: &[Listed]) -> Result<(), Hidden> {
        let is_by_bus = self.order.as_deref() == Some("PCI_BUS_ID");
        let are_alike = listed.windows(2).all(|pair| pair[0].name == pair[1].name);
        if is_by_bus || are_alike { Ok(()) } else { Err(Hidden::Unordered) }
    }
}

const GPU: &str = "GPU-";
const SLICE: &str = "MIG-";

/// `GPU-PREFIX,...` or `MIG-UUID,...`: the first entry says of which kind all are.
fn by_name(text: &str, listed: &[Listed]) -> Vec<Place> {
    let mut places = Vec::new();
    for entry in text.split(',').map(str::trim) {
        let place = if text.starts_with(SLICE) {
            entry.starts_with(SLICE).then(|| Place::Slice(entry.to_owned()))
        } else {
            entry.starts_with(GPU).then(|| only(entry, listed)).flatten()
        };
        let Some(place) = place else { break };
        if places.contains(&place) {
            return Vec::new();
        }
        places.push(place);
    }
    places
}

/// The one GPU whose UUID begins so.
fn only(prefix: &str, listed: &[Listed]) -> Option<Place> {
    let mut found = (0..listed.len()).filter(|&place| listed[place].uuid.starts_with(prefix));
    let first = found.next()?;
    found.next().is_none().then_some(Place::Gpu(first))
}

/// `0,2,...`.
fn by_number(text: &str, count: usize) -> Vec<Place> {
    let mut places = Vec::new();
    for entry in text.split(',') {
        let Some(place) = leading(entry.trim()).filter(|&place| place < count).map(Place::Gpu) else { break };
        if places.contains(&place) {
            return Vec::new();
        }
        places.push(place);
    }
    places
}

/// The number that a text begins with: CUDA reads with `strtoul` and ignores what follows.
fn leading(text: &str) -> Option<usize> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(names: &[(&str, &str)]) -> Vec<Listed> {
        let own = |&(uuid, name): &(&str, &str)| Listed { uuid: uuid.to_owned(), name: name.to_owned() };
        names.iter().map(own).collect()
    }

    fn four() -> Vec<Listed> {
        listed(&[("GPU-aa11", "H200"), ("GPU-aa22", "H200"), ("GPU-b3", "H200"), ("GPU-c4", "H200")])
    }

    /// The places of all devices that CUDA would have.
    fn all(devices: Option<&str>) -> Vec<Place> {
        let visible = Visible { devices: devices.map(str::to_owned), order: None };
        (0..).map_while(|index| visible.place(index, &four()).ok()).collect()
    }

    fn gpus(places: &[usize]) -> Vec<Place> {
        places.iter().copied().map(Place::Gpu).collect()
    }

    #[test]
    fn without_the_variable_all_are_visible_in_order() {
        assert_eq!(all(None), gpus(&[0, 1, 2, 3]));
    }

    #[test]
    fn numbers_end_at_the_first_that_is_none() {
        assert_eq!(all(Some("2,0")), gpus(&[2, 0]));
        assert_eq!(all(Some(" 3 , 1")), gpus(&[3, 1]));
        assert_eq!(all(Some("1,-1,0")), gpus(&[1]));
        assert_eq!(all(Some("1,4,0")), gpus(&[1]), "there is no fifth GPU");
        assert_eq!(all(Some("1,x,0")), gpus(&[1]));
        assert_eq!(all(Some("1,GPU-c4")), gpus(&[1]), "kinds are not mixed");
        assert_eq!(all(Some("1gpu,+2")), gpus(&[1, 2]), "what follows a number is ignored");
        for none in ["", "-1", "none", "NoDevFiles", "99999999999999999999999"] {
            assert_eq!(all(Some(none)), [], "{none:?}");
        }
        assert_eq!(all(Some("1,0,1")), [], "a repeated entry makes the list empty");
    }

    #[test]
    fn a_prefix_must_fit_one_gpu() {
        assert_eq!(all(Some("GPU-b,GPU-aa2")), gpus(&[2, 1]));
        assert_eq!(all(Some("GPU-b3,GPU-aa,GPU-c4")), gpus(&[2]), "two begin with GPU-aa");
        assert_eq!(all(Some("GPU-b3,GPU-d,GPU-c4")), gpus(&[2]));
        assert_eq!(all(Some("GPU-b3,1")), gpus(&[2]));
        assert_eq!(all(Some("GPU-b3,GPU-b")), [], "the same GPU twice");
    }

    #[test]
    fn slices_are_told_by_their_names() {
        let slice = |uuid: &str| Place::Slice(uuid.to_owned());
        assert_eq!(all(Some("MIG-1f,MIG-2e")), [slice("MIG-1f"), slice("MIG-2e")]);
        assert_eq!(all(Some("MIG-GPU-aa11/3/0,GPU-b3")), [slice("MIG-GPU-aa11/3/0")]);
        assert_eq!(all(Some("MIG-1f,MIG-1f")), []);
    }

    #[test]
    fn different_gpus_need_an_order_or_names() {
        let mixed = listed(&[("GPU-1", "T4"), ("GPU-2", "H200")]);
        let place = |devices: Option<&str>, order: Option<&str>| {
            let own = |text: Option<&str>| text.map(str::to_owned);
            Visible { devices: own(devices), order: own(order) }.place(0, &mixed)
        };
        assert_eq!(place(None, None), Err(Hidden::Unordered));
        assert_eq!(place(Some("1"), Some("FASTEST_FIRST")), Err(Hidden::Unordered));
        assert_eq!(place(Some(""), None), Err(Hidden::Absent));
        assert_eq!(place(None, Some("PCI_BUS_ID")), Ok(Place::Gpu(0)));
        assert_eq!(place(Some("1"), Some("PCI_BUS_ID")), Ok(Place::Gpu(1)));
        assert_eq!(place(Some("GPU-2"), None), Ok(Place::Gpu(1)));
    }
}
