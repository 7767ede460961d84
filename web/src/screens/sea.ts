// Five wakes along the bottom edge of the login page: the only ornament in the product. Always the same, so nothing flickers.

export function sea(): { y: number; d: string; opacity: number }[] {
  let seed = 20;
  const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
  return [0, 1, 2, 3, 4].map((row) => {
    const y = 36 + row * 34;
    let d = '';
    let height = 8;
    for (let x = 0; x < 1650; ) {
      if (random() < 0.012) {
        const rest = 80 + Math.round(random() * 180);
        d += `M${x} ${y - 1}h${rest}`;
        x += rest + 6;
      } else {
        height = Math.min(17, Math.max(3, height + (random() - 0.5) * 6));
        d += `M${x} ${y}v-${Math.round(height)}`;
        x += 6;
      }
    }
    return { y, d, opacity: 0.3 + row * 0.14 };
  });
}
