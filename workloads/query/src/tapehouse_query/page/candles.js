// Candles of one symbol: what the tables have published, with live trades laid over it.

export const LENGTHS = { "1m": 60, "5m": 300, "15m": 900, "1h": 3600 };

export class Candles {
  constructor(seconds) {
    this.size = seconds * 1000;
    this.published = new Map();
    this.live = new Map();
  }

  publish(nodes) {
    for (const node of nodes) {
      const start = Date.parse(node.timestamp);
      this.published.set(start, {
        start, open: node.openPrice, high: node.highPrice, low: node.lowPrice,
        close: node.closePrice, volume: node.totalVolume, count: node.tradeCount,
      });
    }
  }

  add(trade) {
    const start = Math.floor(Date.parse(trade.timestamp) / this.size) * this.size;
    const { price, quantity } = trade;
    const candle = this.live.get(start);
    if (!candle) {
      this.live.set(start, { start, open: price, high: price, low: price, close: price, volume: quantity, count: 1 });
      return;
    }
    candle.high = Math.max(candle.high, price);
    candle.low = Math.min(candle.low, price);
    candle.close = price;
    candle.volume += quantity;
    candle.count += 1;
  }

  // Oldest first. The side that saw more trades of an interval knows its volume; live knows the last price.
  list(limit) {
    const starts = [...new Set([...this.published.keys(), ...this.live.keys()])].sort((a, b) => a - b);
    for (const start of starts.slice(0, -4 * limit)) { this.published.delete(start); this.live.delete(start); }
    return starts.slice(-limit).map((start) => {
      const table = this.published.get(start), live = this.live.get(start);
      if (!table || !live) return table ?? live;
      const fuller = live.count > table.count ? live : table;
      return {
        start, open: table.open, close: live.count >= table.count || !this.live.has(start + this.size) ? live.close : table.close,
        high: Math.max(table.high, live.high), low: Math.min(table.low, live.low),
        volume: fuller.volume, count: fuller.count,
      };
    });
  }
}
