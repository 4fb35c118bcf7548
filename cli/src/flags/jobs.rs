//! `--jobs` and KILN_JOBS: how many steps may be executed at the same time.

/// Reads a number of steps. The error is one line for a person.
pub fn parse(text: &str) -> Result<usize, String> {
    match text.trim().parse() {
        Ok(0) | Err(_) => {
            Err(format!("`{text}` is not a number of steps: 1 or more may be executed at a time"))
        }
        Ok(jobs) => Ok(jobs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_from_one_on() {
        assert_eq!(parse("1"), Ok(1));
        assert_eq!(parse(" 16 "), Ok(16));
        for wrong in ["0", "-1", "", "many", "1.5", "99999999999999999999999"] {
            assert!(parse(wrong).is_err_and(|error| error.contains("1 or more")), "{wrong}");
        }
    }
}
