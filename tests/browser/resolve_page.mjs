// Runs the page's rules on cases from standard input; writes the pieces of each to standard output.
// Arguments: the file of the rules.

import { readFileSync } from "node:fs";

const source = readFileSync(process.argv[2], "utf-8");
const rules = await import(`data:text/javascript,${encodeURIComponent(source)}`);
const { operations, cases } = JSON.parse(readFileSync(0, "utf-8"));
const results = cases.map(({ n_frames: nFrames, decisions, known }) => {
  const pieces = rules.resolveTracklet("t", nFrames, decisions, operations, known);
  return { pieces, code: rules.statusCodeOf(pieces) };
});
process.stdout.write(JSON.stringify(results));
