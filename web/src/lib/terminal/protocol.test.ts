import { describe, expect, test } from 'vitest';
import { decodeBase64, isOwner, onClose, parseText, take } from './protocol.ts';

function frame(offset: number | bigint, text: string): ArrayBuffer {
  const bytes = new TextEncoder().encode(text);
  const buffer = new ArrayBuffer(8 + bytes.length);
  new DataView(buffer).setBigUint64(0, BigInt(offset), false);
  new Uint8Array(buffer, 8).set(bytes);
  return buffer;
}

function written(piece: ReturnType<typeof take>): [string, number] | string {
  return piece.kind === 'write' ? [new TextDecoder().decode(piece.bytes), piece.next] : piece.kind;
}

describe('terminal frames', () => {
  test('bytes that follow are written whole', () => expect(written(take(frame(100, 'abc'), 100))).toEqual(['abc', 103]));
  test('the first frame of all decides where counting starts', () => expect(written(take(frame(7, 'x'), undefined))).toEqual(['x', 8]));
  test('an overlap is cut, never shown twice', () => expect(written(take(frame(98, 'abcdef'), 100))).toEqual(['cdef', 104]));
  test('a frame that was shown already is dropped', () => expect(written(take(frame(98, 'ab'), 100))).toBe('old'));
  test('a gap is never papered over', () => expect(written(take(frame(101, 'a'), 100))).toBe('gap'));
  test('a frame without an offset is refused', () => expect(written(take(new ArrayBuffer(3), 0))).toBe('bad'));
  test('offsets beyond 32 bits are exact', () => expect(written(take(frame(2n ** 40n, 'a'), 2 ** 40))).toEqual(['a', 2 ** 40 + 1]));
  test('an empty frame moves nothing', () => expect(written(take(frame(100, ''), 100))).toEqual(['', 100]));

  test('random overlapping frames rebuild the stream exactly', () => {
    const text = Array.from({ length: 500 }, (_, i) => String.fromCharCode(97 + (i % 26))).join('');
    let seed = 7;
    const random = () => (seed = (seed * 1103515245 + 12345) % 2147483648) / 2147483648;
    let shown = '';
    let next = 0;
    while (next < text.length) {
      const from = Math.max(0, next - Math.floor(random() * 20));
      const to = Math.min(text.length, next + Math.floor(random() * 20));
      const piece = take(frame(from, text.slice(from, to)), next);
      if (piece.kind === 'write') {
        shown += new TextDecoder().decode(piece.bytes);
        next = piece.next;
      } else expect(piece.kind).toBe('old');
    }
    expect(shown).toBe(text);
  });
});

describe('terminal text frames', () => {
  test('what is not JSON with a type is ignored', () => {
    expect(parseText('nonsense')).toBeUndefined();
    expect(parseText('[]')).toBeUndefined();
    expect(parseText('{"type":"exit","code":1}')).toEqual({ type: 'exit', code: 1 });
  });
  test('base64 keeps every byte', () => expect([...decodeBase64('AP8bWw==')]).toEqual([0, 255, 27, 91]));
  test('the owner is told by flag or by name', () => {
    expect(isOwner({ type: 'size', cols: 1, rows: 1, owner: true }, undefined)).toBe(true);
    expect(isOwner({ type: 'size', cols: 1, rows: 1, owner: 'v1' }, 'v1')).toBe(true);
    expect(isOwner({ type: 'size', cols: 1, rows: 1, owner: 'v2' }, 'v1')).toBe(false);
    expect(isOwner({ type: 'size', cols: 1, rows: 1, owner: 3 }, 3)).toBe(true);
    expect(isOwner({ type: 'size', cols: 1, rows: 1, owner: null }, undefined)).toBe(false);
    expect(isOwner({ type: 'size', cols: 1, rows: 1 }, undefined)).toBe(false);
  });
  test('every close code has words, and only final ones stop', () => {
    for (const code of [1000, 1001, 1006, 1008, 1011, 1012, 1013, 4400, 4401, 4403, 4404, 4408, 4409, 4410, 4416, 4429, 4503]) {
      expect(onClose(code, '').words).not.toBe('');
    }
    expect(onClose(1006, '').next).toBe('again');
    expect(onClose(4409, '').next).toBe('stop');
    expect(onClose(4408, '').next).toBe('snapshot');
  });
});
