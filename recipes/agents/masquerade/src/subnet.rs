use std::net::Ipv4Addr;
use std::str::FromStr;

/// Addresses whose first bits are these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    pub address: Ipv4Addr,
    pub mask: Ipv4Addr,
}

impl Subnet {
    /// Nothing is to be forwarded there (RFC 3927, section 7), and clouds have
    /// there what the node alone is to know of itself.
    pub const LINK_LOCAL: Self =
        Self { address: Ipv4Addr::new(169, 254, 0, 0), mask: Ipv4Addr::new(255, 255, 0, 0) };
    /// All groups that are sent to many (RFC 5771).
    pub const MULTICAST: Self =
        Self { address: Ipv4Addr::new(224, 0, 0, 0), mask: Ipv4Addr::new(240, 0, 0, 0) };
}

impl FromStr for Subnet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("{text:?} is no subnet: it must be an address, a slash and 1 to 32");
        let (address, bits) = text.split_once('/').ok_or_else(wrong)?;
        let address: Ipv4Addr = address.parse().map_err(|_| wrong())?;
        let bits: u32 = bits.parse().map_err(|_| wrong())?;
        if !(1..=32).contains(&bits) {
            return Err(wrong());
        }
        let mask = Ipv4Addr::from(u32::MAX << (32 - bits));
        if address & mask != address {
            return Err(format!("{text:?} is no subnet: the address has bits beyond {bits}"));
        }
        Ok(Self { address, mask })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subnet_is_an_address_and_a_number_of_bits() {
        let subnet: Subnet = "10.88.0.0/16".parse().unwrap();
        assert_eq!(subnet.mask, Ipv4Addr::new(255, 255, 0, 0));
        assert_eq!("10.0.0.1/32".parse::<Subnet>().unwrap().mask, Ipv4Addr::BROADCAST);
        for text in ["", "10.88.0.0", "10.88.0/16", "10.88.0.0/0", "10.88.0.0/33", "10.88.0.0/x"] {
            assert!(text.parse::<Subnet>().unwrap_err().contains("is no subnet: it must be"), "{text}");
        }
        assert!("10.88.0.1/16".parse::<Subnet>().unwrap_err().contains("bits beyond 16"));
    }
}
