use super::*;

/// A small generator, so that a failure is found again by its seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> usize {
        usize::try_from(self.next() % bound).unwrap()
    }

    fn bytes(&mut self) -> Bytes {
        let length = self.below(40);
        (0..length).map(|_| u8::try_from(self.below(256)).unwrap()).collect()
    }

    fn cell(&mut self) -> Cell {
        match self.below(6) {
            0 => Cell::Null,
            1 => Cell::Integer(i64::from_ne_bytes(self.next().to_ne_bytes())),
            2 => Cell::Real(-0.0),
            3 => Cell::Real(f64::from_bits(self.next() >> 2)),
            4 => Cell::Text(self.bytes()),
            _ => Cell::Blob(self.bytes()),
        }
    }
}

fn written(columns: usize, rows: &[Vec<Cell>]) -> Vec<u8> {
    let mut writer = Writer::new(columns).unwrap();
    let mut all = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        writer.row();
        for cell in row {
            writer.value(cell.as_value()).unwrap();
        }
        if at % 3 == 0 {
            all.extend(writer.take());
        }
    }
    all.extend(writer.end());
    all
}

fn read(columns: usize, bytes: &[u8], piece: usize) -> Result<Vec<Vec<Cell>>> {
    let mut reader = Reader::new(columns);
    let mut rows = Vec::new();
    for piece in bytes.chunks(piece) {
        reader.feed(piece);
        while let Some(row) = reader.row()? {
            rows.push(row);
        }
    }
    reader.finish()?;
    Ok(rows)
}

#[test]
fn what_is_written_is_read_in_pieces_of_any_length() {
    for seed in 1..200 {
        let mut random = Random(seed * 0x9e37_79b9);
        let columns = random.below(5) + 1;
        let rows: Vec<Vec<Cell>> =
            (0..random.below(8)).map(|_| (0..columns).map(|_| random.cell()).collect()).collect();
        let bytes = written(columns, &rows);
        for piece in [1, 2, 7, 64, 10_000] {
            assert_eq!(read(columns, &bytes, piece).unwrap(), rows, "seed {seed}, piece {piece}");
        }
    }
}

#[test]
fn every_bit_of_a_number_arrives() {
    let rows = vec![vec![Cell::Real(-0.0)], vec![Cell::Integer(i64::MIN)]];
    let read = read(1, &written(1, &rows), 3).unwrap();
    let Cell::Real(zero) = read[0][0] else { panic!("not a real: {read:?}") };
    assert_eq!(zero.to_bits(), (-0.0_f64).to_bits());
}

#[test]
fn a_stream_cut_anywhere_is_refused() {
    let rows = vec![
        vec![Cell::Integer(1), Cell::Text("é".as_bytes().into())],
        vec![Cell::Null, Cell::Blob(vec![0; 5].into())],
    ];
    let whole = written(2, &rows);
    for length in 0..whole.len() {
        let error = read(2, &whole[..length], 5).unwrap_err();
        assert_eq!(error.kind(), Kind::Never, "cut at {length}");
    }
}

#[test]
fn damage_is_refused_or_read_and_never_a_panic() {
    let mut random = Random(7);
    for _ in 0..3_000 {
        let mut bytes = written(2, &[vec![Cell::Integer(5), Cell::Text("abc".into())]]);
        for _ in 0..=random.below(3) {
            let at = random.below(bytes.len() as u64);
            bytes[at] = u8::try_from(random.below(256)).unwrap();
        }
        let _either = read(2, &bytes, 4);
    }
    assert!(read(3, &written(2, &[]), 9).is_err(), "another number of columns");
    let mut longer = written(2, &[]);
    longer.push(0);
    assert!(read(2, &longer, 100).is_err(), "something follows the end");
    assert!(read(2, &longer, 1).is_err(), "something follows the end");
}
