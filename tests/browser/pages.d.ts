// What the pages of `lpw show` and of ranked results find on `window`: data.js and timeline.js put
// it there.

interface Window {
  LPW_SHOW: any;
  LpwTimeline: (data: any, page: any) => any;
}
