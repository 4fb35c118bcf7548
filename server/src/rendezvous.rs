//! A map whose readers may come before what they ask for: builds and sessions arrive over connections of their own, in
//! any order.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// Values by name, each there from [`put`](Self::put) until its [`Place`] is dropped.
#[derive(Debug)]
pub(crate) struct Rendezvous<V> {
    values: Mutex<HashMap<String, V>>,
    changed: watch::Sender<()>,
}

impl<V> Default for Rendezvous<V> {
    fn default() -> Self {
        Self { values: Mutex::default(), changed: watch::Sender::new(()) }
    }
}

/// Keeps a value in its place.
#[derive(Debug)]
pub(crate) struct Place<V> {
    map: Arc<Rendezvous<V>>,
    name: String,
}

impl<V> Drop for Place<V> {
    fn drop(&mut self) {
        self.map.locked().remove(&self.name);
    }
}

impl<V: Clone> Rendezvous<V> {
    /// Puts a value where readers find it; nothing if the name is taken.
    pub(crate) fn put(map: &Arc<Self>, name: &str, value: V) -> Option<Place<V>> {
        {
            let mut values = map.locked();
            if values.contains_key(name) {
                return None;
            }
            values.insert(name.to_owned(), value);
        }
        map.changed.send_replace(());
        Some(Place { map: Arc::clone(map), name: name.to_owned() })
    }

    /// The value, if it has come.
    pub(crate) fn now(&self, name: &str) -> Option<V> {
        self.locked().get(name).cloned()
    }

    /// The value, which may take that long to come.
    pub(crate) async fn get(&self, name: &str, patience: Duration) -> Option<V> {
        let mut changed = self.changed.subscribe();
        let arrival = async {
            loop {
                if let Some(value) = self.locked().get(name) {
                    return Some(value.clone());
                }
                changed.changed().await.ok()?;
            }
        };
        tokio::time::timeout(patience, arrival).await.ok().flatten()
    }
}

impl<V> Rendezvous<V> {
    fn locked(&self) -> MutexGuard<'_, HashMap<String, V>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn readers_may_come_first() {
        let map = Arc::new(Rendezvous::default());
        let reader = tokio::spawn({
            let map = Arc::clone(&map);
            async move { map.get("a", Duration::from_secs(3)).await }
        });
        tokio::task::yield_now().await;
        let place = Rendezvous::put(&map, "a", 1).unwrap();
        assert_eq!(reader.await.unwrap(), Some(1));
        assert!(Rendezvous::put(&map, "a", 2).is_none(), "the name is taken");
        drop(place);
        assert_eq!(map.get("a", Duration::from_secs(3)).await, None);
    }
}
