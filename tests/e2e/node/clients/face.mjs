// What the adapters share.

/// The client's dialect has no words for what was asked.
export class Unsaid extends Error {}

export const schemaOf = ({ field }) => ({
  type: "object",
  properties: { [field]: { type: "string" } },
  required: [field],
  additionalProperties: false,
});

/// An answer. `turn`: as the client sends it back when the conversation goes on.
export const answer = () => ({
  text: "",
  thought: "",
  finish: null,
  calls: [],
  usage: { input: 0, output: 0, cached: 0 },
  pieces: 0,
  turn: null,
});

export const PIXEL_BASE64 =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk" +
  "YPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
