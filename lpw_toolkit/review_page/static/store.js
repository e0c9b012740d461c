// What the page knows: all tracklets by column, and the ones around the current one with their pictures.

const N_KEPT = 24;
const OPEN = new Set("uo");  // not reviewed, and somebody else's

export class Store {
  constructor(start, fail) {
    Object.assign(this, start);
    this.n = this.ids.length;
    this.letters = start.letters.split("");
    this.chance = new Float32Array(this.n).fill(-1);
    this.linked = new Set(start.linked);
    this.random = new Set();
    this.entries = new Map();  // tracklet -> {detail, sheet, thumbs, ready}
    this.fail = fail;
    this.nMine = this.letters.filter((letter) => letter !== "o").length;  // the others are somebody else's
    this.nDone = this.letters.filter((letter) => !OPEN.has(letter)).length;
    this.takeOrder(start);
  }

  takeOrder({ order, chances, random, told }) {
    chances.forEach((chance, i) => { this.chance[order[i]] = chance; });
    this.random = new Set(random);
    this.told = told;
    return order;
  }

  setLetter(n, letter) {
    this.nMine += this.letters[n] === "o" && letter !== "o";
    this.nDone += !OPEN.has(letter) - !OPEN.has(this.letters[n]);
    this.letters[n] = letter;
  }

  /** The entry of a tracklet; fetched where it is not there yet. */
  get(n) {
    let entry = this.entries.get(n);
    if (entry) {
      this.entries.delete(n);
    } else {
      entry = { n, detail: null, sheet: "", thumbs: "", images: [] };
      entry.ready = this.fetch(entry).catch((error) => {
        this.entries.delete(n);
        this.fail(error);
        throw error;
      });
      entry.ready.catch(() => {});
    }
    this.entries.set(n, entry);
    for (const [old, other] of this.entries) {
      if (this.entries.size <= N_KEPT) break;
      if (old !== n) { this.entries.delete(old); release(other); }
    }
    return entry;
  }

  /** Moves the shown one to the end of those that are let go. */
  keepAlive(entry) {
    if (this.entries.delete(entry.n)) this.entries.set(entry.n, entry);
  }

  async fetch(entry) {
    const [detail, sheet] = await Promise.all([ask(`/api/tracklet/${entry.n}`), picture(`/sprite/${entry.n}/sheet`, entry)]);
    if (detail.thumb_px) entry.thumbs = await picture(`/sprite/${entry.n}/candidates`, entry);
    entry.sheet = sheet;
    entry.detail = detail;
    return entry;
  }

  /** Forgets what is known of these; the next look asks again. */
  forget(numbers) {
    for (const n of numbers) {
      const entry = this.entries.get(n);
      if (entry) { this.entries.delete(n); setTimeout(() => release(entry), 5000); }
    }
  }
}

export async function ask(address) {
  const response = await fetch(address);
  if (!response.ok) throw Object.assign(new Error((await response.text()).trim()), { status: response.status });
  return response.json();
}

/** Address of a picture that is here and decoded. */
export async function picture(address, entry) {
  const response = await fetch(address);
  if (!response.ok) throw Object.assign(new Error((await response.text()).trim()), { status: response.status });
  const image = new Image();
  image.src = URL.createObjectURL(await response.blob());
  await image.decode();
  entry.images.push(image);  // keeps it decoded
  return image.src;
}

function release(entry) {
  for (const image of entry.images) URL.revokeObjectURL(image.src);
  entry.images = [];
}

/** What a request will make of the pieces of one tracklet, until the server has said so itself. */
export function foresee(pieces, id, nFrames, request) {
  const named = new Set(request.tracklets);
  const name = (start, stop) => (start === 0 && stop === nFrames ? id : `${id}@${start}-${stop}`);
  const changed = pieces.flatMap((piece) => {
    if (!named.has(piece.name) && !named.has(id)) return [piece];
    const made = { ...piece };
    if (request.operation === "accept") made.status = piece.dropped.length || pieces.length > 1 ? "edited" : "accepted";
    if (request.operation === "reject") { made.status = "rejected"; made.reasons = [request.arguments.reason].filter(Boolean); }
    if (request.operation === "flag") made.flags = [...piece.flags, request.arguments.flag];
    if (request.operation === "comment") made.comments = [...piece.comments, ["you", request.arguments.text]];
    if (request.operation === "merge") made.status = "edited";
    if (request.operation === "drop_frames" || request.operation === "restore_frames") {
      made.dropped = changeRanges(piece.dropped, request.arguments.frames, request.operation === "drop_frames");
      made.status = "edited";
    }
    if (request.operation === "split") {
      const at = request.arguments.at, half = (start, stop) => ({
        ...made, name: name(start, stop), start, stop, status: "edited",
        dropped: changeRanges(piece.dropped, [[0, start], [stop, nFrames]].filter(([a, b]) => a < b), false),
      });
      return [half(piece.start, at), half(at, piece.stop)];
    }
    return [made];
  });
  return changed;
}

export function letterOf(pieces) {
  const statuses = new Set(pieces.map((piece) => piece.status));
  if (statuses.has("unreviewed")) {
    return pieces.every((piece) => piece.status !== "unreviewed" || piece.flags.includes("unsure")) ? "?" : "u";
  }
  return statuses.size === 1 ? { accepted: "a", edited: "e", rejected: "r" }[[...statuses][0]] : "e";
}

/** Half-open ranges with others added or taken away. */
export function changeRanges(ranges, others, add) {
  const borders = [...new Set([...ranges, ...others].flat())].sort((a, b) => a - b);
  const has = (list, at) => list.some(([start, stop]) => start <= at && at < stop);
  const made = [];
  for (let i = 0; i + 1 < borders.length; i++) {
    const at = borders[i], here = has(others, at) ? add : has(ranges, at);
    if (!here) continue;
    if (made.length && made.at(-1)[1] === at) made.at(-1)[1] = borders[i + 1];
    else made.push([at, borders[i + 1]]);
  }
  return made;
}
