//! temporary
use promproof::raw::ReadMode;
use promproof::source::*;
#[test]
fn notes() {
    for top in [
        "/work/shared/fixtures/encodings",
        "/work/shared/fixtures/servers",
    ] {
        for e in std::fs::read_dir(top).unwrap() {
            let e = e.unwrap();
            for sub in ["data", "snapshot", "snapshot-deleted"] {
                let p = e.path().join(sub);
                if !p.is_dir() {
                    continue;
                }
                match Source::open(
                    &p,
                    &OpenOptions {
                        read_mode: ReadMode::Map,
                        ..Default::default()
                    },
                ) {
                    Ok(s) => {
                        let l = s.opening_ledger();
                        for n in l.notes {
                            println!("{} NOTE {n}", p.display());
                        }
                        for n in l.losses {
                            println!("{} LOSS {}", p.display(), n.to_line());
                        }
                        for sh in &s.shadowed {
                            println!("{} SHADOW {} {}", p.display(), sh.rel, sh.why);
                        }
                    }
                    Err(x) => println!("{} ERR {x}", p.display()),
                }
            }
        }
    }
}
