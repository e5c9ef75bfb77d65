//! Bounded sequences on the wire: a length as a varint, then that many items; never more than the type allows.
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// At most `N` items, in order. Everything but the wire is [`heapless::Vec`]'s.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct List<T, const N: usize>(pub heapless::Vec<T, N>);

impl<T, const N: usize> List<T, N> {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self(heapless::Vec::new())
    }

    /// Takes what fits of `items`: the first `N`.
    pub fn of(items: impl IntoIterator<Item = T>) -> Self {
        Self(items.into_iter().take(N).collect())
    }
}

impl<T: Clone, const N: usize> List<T, N> {
    /// A copy of these items; `None` when they are more than `N`.
    pub fn from_slice(items: &[T]) -> Option<Self> {
        heapless::Vec::from_slice(items).ok().map(Self)
    }
}

impl<T, const N: usize> Default for List<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, const N: usize> Deref for List<T, N> {
    type Target = heapless::Vec<T, N>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T, const N: usize> DerefMut for List<T, N> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<'a, T, const N: usize> IntoIterator for &'a List<T, N> {
    type Item = &'a T;
    type IntoIter = core::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<T: Serialize, const N: usize> Serialize for List<T, N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self)
    }
}

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for List<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<T, const N: usize>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for Items<T, N> {
            type Value = List<T, N>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "at most {N} items")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<List<T, N>, A::Error> {
                let mut list = List::new();
                while let Some(item) = items.next_element()? {
                    list.push(item)
                        .map_err(|_| A::Error::invalid_length(N, &self))?;
                }
                Ok(list)
            }
        }

        deserializer.deserialize_seq(Items(PhantomData))
    }
}

/// The schema's name of a sequence bears its bound; the test of the schema refuses a bound that has no name here.
#[cfg(any(test, feature = "schema"))]
impl<T: postcard_schema::Schema, const N: usize> postcard_schema::Schema for List<T, N> {
    const SCHEMA: &'static postcard_schema::schema::NamedType =
        &postcard_schema::schema::NamedType {
            name: bound_name(N),
            ty: &postcard_schema::schema::DataModelType::Seq(T::SCHEMA),
        };
}

/// At most `N` bytes.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Bytes<const N: usize>(heapless::Vec<u8, N>);

impl<const N: usize> Bytes<N> {
    /// A copy of these bytes; `None` when they are too many.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        heapless::Vec::from_slice(bytes).ok().map(Self)
    }
}

impl<const N: usize> Deref for Bytes<N> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<const N: usize> fmt::Debug for Bytes<N> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} bytes", self.0.len())
    }
}

impl<const N: usize> Serialize for Bytes<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Bytes<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Contents<const N: usize>;

        impl<const N: usize> Visitor<'_> for Contents<N> {
            type Value = Bytes<N>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "at most {N} bytes")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Bytes<N>, E> {
                Bytes::new(bytes).ok_or_else(|| E::invalid_length(bytes.len(), &self))
            }
        }

        deserializer.deserialize_bytes(Contents)
    }
}

#[cfg(any(test, feature = "schema"))]
impl<const N: usize> postcard_schema::Schema for Bytes<N> {
    const SCHEMA: &'static postcard_schema::schema::NamedType =
        &postcard_schema::schema::NamedType {
            name: bound_name(N),
            ty: &postcard_schema::schema::DataModelType::ByteArray,
        };
}

/// A bound as a name, because a schema's names are static.
#[cfg(any(test, feature = "schema"))]
const fn bound_name(bound: usize) -> &'static str {
    match bound {
        3 => "3",
        4 => "4",
        5 => "5",
        7 => "7",
        8 => "8",
        12 => "12",
        29 => "29",
        96 => "96",
        160 => "160",
        168 => "168",
        _ => "without a bound",
    }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;
    use crate::codec::{decode, encode};

    #[test]
    fn the_most_items_travel_and_one_more_does_not() {
        let mut buffer = [0; 16];
        let most = List::<u8, 3>::from_slice(&[7, 8, 9]).unwrap();
        assert_eq!(encode(&most, &mut buffer).unwrap(), [3, 7, 8, 9]);
        assert_eq!(decode::<List<u8, 3>>(&[3, 7, 8, 9]), Ok(most));
        assert_eq!(decode::<List<u8, 3>>(&[0]), Ok(List::new()));
        assert!(decode::<List<u8, 3>>(&[4, 7, 8, 9, 10]).is_err());
        assert_eq!(List::<u8, 3>::from_slice(&[0; 4]), None);
        assert_eq!(*List::<u8, 3>::of([1, 2, 3, 4]), [1, 2, 3]);
    }

    #[test]
    fn the_most_bytes_travel_and_one_more_does_not() {
        let mut buffer = [0; 300];
        let most = Bytes::<168>::new(&[3; 168]).unwrap();
        let wire = encode(&most, &mut buffer).unwrap().to_vec();
        assert_eq!(decode::<Bytes<168>>(&wire), Ok(most));
        assert_eq!(Bytes::<168>::new(&[3; 169]), None);
        let mut longer: Vec<u8> = vec![169, 1];
        longer.extend([3; 169]);
        assert!(decode::<Bytes<168>>(&longer).is_err());
    }

    #[test]
    fn a_bound_has_its_own_name() {
        for bound in 0..300 {
            let name = bound_name(bound);
            assert!(name == "without a bound" || name.parse() == Ok(bound));
        }
    }
}
