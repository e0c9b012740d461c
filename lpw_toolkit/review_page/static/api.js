// Requests to the server, and the form of its messages.

/** @typedef {[number, number]} Range half-open positions of frames */

/**
 * What can be decided, as the server declares it (`cleaning/operation.py`).
 *
 * @typedef {object} Operation
 * @property {string} title what the list of decisions says
 * @property {string} role what it does to the state
 * @property {any} value what its role needs, where it has no arguments
 * @property {{name: string, kind: string, choices: string[]}[]} arguments
 * @property {PageKey | null} page
 *
 * @typedef {{key: string, title: string, arguments: Record<string, any> | null, question: string}}
 *   PageKey
 *
 * @typedef {Record<string, Operation>} Operations by name
 */

/**
 * A decision on its way to the log.
 *
 * @typedef {object} DecisionRequest
 * @property {string} uuid made by the page; a retry has the same one
 * @property {string} operation
 * @property {string[]} tracklets names of pieces: a tracklet's id, or `ID@START-STOP`
 * @property {Record<string, any>} arguments as the log's schema has them
 * @property {number} [spent_ms]
 */

/**
 * @typedef {DecisionRequest & {reviewer: string, n: number | null, undone: boolean}} SavedDecision
 */

/**
 * The part of a tracklet between two cuts.
 *
 * @typedef {object} Piece
 * @property {string} name
 * @property {string} tracklet
 * @property {number} start
 * @property {number} stop
 * @property {string} status unreviewed, accepted, edited or rejected
 * @property {string[]} reasons why it is rejected
 * @property {Range[]} dropped
 * @property {string[]} flags
 * @property {[string, string][]} comments reviewer and text
 * @property {string[]} reviewers who judged or edited it
 */

/**
 * A tracklet that may show the same person, or that was said to.
 *
 * @typedef {object} Candidate
 * @property {number} n
 * @property {string} camera
 * @property {string} [piece] name of the piece that is meant
 * @property {string} [name] of a piece of the same person
 * @property {string} [why]
 * @property {string} [status_code] its status code
 * @property {boolean} [merged]
 */

/**
 * One tracklet: its pieces, what is suspicious about it, who it may be.
 *
 * @typedef {object} Detail
 * @property {number} n
 * @property {string} id
 * @property {string} camera
 * @property {number} n_frames
 * @property {Piece[]} pieces
 * @property {number[]} tiles positions of the frames of the contact sheet
 * @property {number[]} odd those of them that look suspicious
 * @property {number} tile_px
 * @property {number} thumb_px
 * @property {{title: string, score: number}[]} reasons
 * @property {number[]} cuts suggested, the likeliest first
 * @property {Range[]} drops suggested
 * @property {Record<string, (number | null)[]> & {step: number}} signals
 * @property {Candidate[]} merges
 * @property {Candidate[]} across
 * @property {Candidate[]} members
 * @property {number} n_members
 * @property {number[]} persons
 * @property {number} n_conflicts
 * @property {[string, string][]} [verdicts] reviewer and verdict, where reviewers disagree
 */

/** @typedef {{order: number[], chances: number[], random: number[], estimate: string}} QueueOrder */

/**
 * @typedef {object} StartFields
 * @property {string} name
 * @property {string} reviewer
 * @property {string} dataset digest
 * @property {string[]} ids
 * @property {string[]} cameras
 * @property {number[]} frames
 * @property {string} status_codes one status code for each tracklet
 * @property {string[]} repairs
 * @property {Operations} operations
 * @property {SavedDecision[]} last
 * @property {number[]} spent
 * @property {number[]} linked
 * @property {number[]} [differ]
 *
 * @typedef {StartFields & QueueOrder} Start all that the page needs to begin
 */

/** @typedef {{n: number, status_code: string, pieces: Piece[]}} Touched a tracklet after a decision */
/** @typedef {{touched: Touched[]}} Answer */
/**
 * @typedef {{text: string, pieces: string[], n: number | null, decisions: SavedDecision[]}}
 *   Conflict
 */

/** The server answered, but not with what was asked for. */
export class ServerError extends Error {
  /**
   * @param {string} message
   * @param {number} status
   */
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** @param {string} address */
async function fetchChecked(address) {
  const response = await fetch(address);
  if (!response.ok) throw new ServerError((await response.text()).trim(), response.status);
  return response;
}

/**
 * Errors: ServerError; TypeError where no server answers.
 *
 * @param {string} address
 */
export const fetchJson = async (address) => (await fetchChecked(address)).json();

/**
 * Loads and decodes a picture; returns its address in this page. Errors: as `fetchJson`.
 *
 * @param {string} address
 * @param {{images: HTMLImageElement[]}} owner keeps the picture decoded
 */
export async function fetchPicture(address, owner) {
  const image = new Image();
  image.src = URL.createObjectURL(await (await fetchChecked(address)).blob());
  await image.decode();
  owner.images.push(image);
  return image.src;
}

/** @param {{images: HTMLImageElement[]}} owner */
export function releasePictures(owner) {
  for (const image of owner.images) URL.revokeObjectURL(image.src);
  owner.images = [];
}
