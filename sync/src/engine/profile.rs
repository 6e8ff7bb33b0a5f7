//! Whose node this is.

use rand_core::CryptoRng;

use crate::{
    crypto::identity::{Device, Name},
    store::{Setting, Store, StoreError},
};

/// Device, name and store epoch of a profile.
pub(super) struct Profile {
    pub(super) device: Device,
    pub(super) name: Name,
    pub(super) epoch: [u8; 8],
}

impl Profile {
    /// Reads the profile of a store.
    pub(super) fn load(store: &dyn Store) -> Result<Self, StoreError> {
        const DAMAGED: StoreError = StoreError::Damaged("it holds no device");
        let setting = |setting| store.load_setting(setting).and_then(|value| value.ok_or(DAMAGED));
        Ok(Self {
            device: Device::decode(&setting(Setting::Device)?).map_err(|_| DAMAGED)?,
            name: std::str::from_utf8(&setting(Setting::Name)?).ok().and_then(|name| Name::new(name).ok()).ok_or(DAMAGED)?,
            epoch: setting(Setting::Epoch)?.as_slice().try_into().map_err(|_| DAMAGED)?,
        })
    }
}

/// Makes a profile in an empty store: draws a device and the epoch of the store, and commits.
///
/// # Errors
///
/// [`StoreError`] if the store fails; it is then as before.
pub fn create_profile(store: &mut dyn Store, name: &Name, rng: &mut (impl CryptoRng + ?Sized)) -> Result<(), StoreError> {
    let mut epoch = [0; 8];
    rng.fill_bytes(&mut epoch);
    store.begin()?;
    store.save_setting(Setting::Device, &Device::generate(rng).encode())?;
    store.save_setting(Setting::Name, name.as_str().as_bytes())?;
    store.save_setting(Setting::Epoch, &epoch)?;
    store.commit()
}
