// What the pages of `lpw show` and of ranked results find on `window`: data.js and the scripts put
// it there.

interface Window {
  LPW_SHOW: any;
  LpwCommon: any;
  LpwCanvas: any;
  LpwTimeline: (data: any, page: any) => any;
}
