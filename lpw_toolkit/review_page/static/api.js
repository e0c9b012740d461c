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
 * @typedef {DecisionRequest & {reviewer: string, time: string, n: number | null, undone: boolean,
 *   undone_by: string[]}} SavedDecision undone_by: the undos of it that count
 */

/**
 * The part of a tracklet between two cuts.
 *
 * @typedef {object} Piece
 * @property {string} name
 * @property {string} tracklet
 * @property {number} start
 * @property {number} stop
 * @property {string} status unreviewed, accepted, edited, unaccepted or rejected
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
 * Who a piece is.
 *
 * @typedef {object} Person
 * @property {string} piece
 * @property {Candidate[]} members pieces of the same person, the first of them
 * @property {number} n_members
 * @property {number[]} numbers of the person
 */

/**
 * One of two pieces that are compared.
 *
 * @typedef {object} Side
 * @property {number} n
 * @property {string} camera
 * @property {string | null} video
 * @property {number} n_frames
 * @property {number | null} start_s null where times are unknown
 * @property {number | null} end_s
 * @property {number[]} shown positions of the frames to show first: those of its `end`
 * @property {number[]} looks positions spread over the piece
 * @property {"first" | "last" | "spread"} end which frames are shown
 * @property {[number, number, number][]} trail x, y of the feet and the height, pixels
 * @property {[number, number] | null} map_px size of the camera's picture
 */

/**
 * @typedef {object} Comparison
 * @property {[Side, Side]} sides
 * @property {0 | 1 | null} earlier
 * @property {number | null} gap_s from the end of the earlier to the start of the later
 * @property {boolean} same_camera
 * @property {boolean} can_merge
 */

/**
 * @typedef {object} Codes
 * @property {string} status_codes one for each tracklet
 * @property {number[]} linked
 * @property {number[]} flagged
 * @property {number} n_conflicts
 */

/**
 * @typedef {object} History
 * @property {number} n decisions that fit
 * @property {SavedDecision[]} lines one page of them, the newest first
 * @property {string[]} reviewers
 * @property {string[]} operations
 * @property {string[]} days
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
 * @property {number} n_known decisions that the server knew
 * @property {number[]} tiles positions of the frames of the contact sheet
 * @property {number[]} odd those of them that look suspicious
 * @property {number} tile_px
 * @property {number} thumb_px
 * @property {{title: string, look_for: string, more_than: number, first: number | null}[]}
 *   reasons those that tell it from most others of the dataset
 * @property {number[]} cuts suggested, the likeliest first
 * @property {Range[]} drops suggested
 * @property {Record<string, (number | null)[]> & {step: number}} signals
 * @property {Candidate[]} merges
 * @property {Candidate[]} across
 * @property {Person[]} people of each piece
 * @property {[flag: string, uuid: string, start: number, stop: number][]} flag_decisions
 * @property {number[]} thumbs tracklets of the picture of candidates, in its order
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
 * @property {string[]} repairs
 * @property {Operations} operations
 * @property {SavedDecision[]} last
 * @property {number[]} spent
 * @property {number[]} [differ]
 *
 * @typedef {StartFields & Codes & QueueOrder} Start all that the page needs to begin
 */

/**
 * @typedef {Pick<Detail, "n" | "pieces" | "flag_decisions" | "n_known"> & {status_code: string}}
 *   Touched a tracklet after a decision
 */
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
