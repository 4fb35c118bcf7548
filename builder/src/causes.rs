//! How the cache's errors become causes of the builder's.
//!
//! Each module of the cache has an error of its own; to a build they are all the store's.

/// Lets `?` turn each of the cache's errors into `$error`, by way of [`kiln_cache::StoreError`].
macro_rules! store_causes {
    ($error:ty) => {
        $crate::causes::store_causes!(@each $error: BlobError, FileError, LayerError, ViewError);
    };
    (@each $error:ty: $($cause:ident),*) => {
        $(impl From<kiln_cache::$cause> for $error {
            fn from(cause: kiln_cache::$cause) -> Self {
                kiln_cache::StoreError::from(cause).into()
            }
        })*
    };
}

pub(crate) use store_causes;
