"""The report's colours and layout: one style sheet for light, dark, narrow, and paper.

Two versions are told apart by colour and by dash, blue and orange, which colour-blind people see
as two. Text has a contrast of 4.5 or more on its ground in both schemes (tests measure it).
"""

from typing import Final

LIGHT: Final = {
    "ground": "#ffffff",
    "card": "#f6f8fa",
    "ink": "#1b1f24",
    "muted": "#57606a",
    "edge": "#d5dbe1",
    "stable": "#1a5fb4",
    "canary": "#b34700",
    "bad": "#b3261e",
    "good": "#1a6b34",
    "wait": "#7a5600",
    "check0": "#6b3fa0",
    "check1": "#00695c",
    "check2": "#a0246e",
    "check3": "#5d6200",
}
DARK: Final = {
    "ground": "#14171b",
    "card": "#1c2127",
    "ink": "#e8eaed",
    "muted": "#9ea8b3",
    "edge": "#39414a",
    "stable": "#7fb4f7",
    "canary": "#f4a261",
    "bad": "#ff8f87",
    "good": "#74d28f",
    "wait": "#e6b84c",
    "check0": "#c6a5f2",
    "check1": "#63ccbb",
    "check2": "#f293c6",
    "check3": "#cdd266",
}


def _variables(colours: dict[str, str]) -> str:
    return "".join(f"--{name}:{value};" for name, value in colours.items())


COLOURS: Final = (
    f":root{{color-scheme:light dark;{_variables(LIGHT)}}}"
    f"@media (prefers-color-scheme:dark){{:root{{{_variables(DARK)}}}}}"
)

PICTURE: Final = """
svg{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
svg text{fill:var(--ink)}
svg .title{font-weight:600}
svg .tick,svg .said{fill:var(--muted)}
svg .value{font-weight:600}
.grid{stroke:var(--edge);stroke-width:1;opacity:.6}
.line{fill:none;stroke-width:2;stroke-linejoin:round}
.line.stable{stroke:var(--stable)}
.line.canary{stroke:var(--canary);stroke-dasharray:7 4}
.line.total{stroke:var(--ink);stroke-width:2.6}
.line.check0{stroke:var(--check0);stroke-dasharray:2 3}
.line.check1{stroke:var(--check1);stroke-dasharray:8 3 2 3}
.line.check2{stroke:var(--check2);stroke-dasharray:12 4}
.line.check3{stroke:var(--check3);stroke-dasharray:4 4}
.line.many{stroke:var(--muted);stroke-width:1;opacity:.6}
.line.excess{stroke:var(--check0)}
.line.force{stroke:var(--muted)}
.line.allowed{stroke:var(--check1);stroke-dasharray:2 3}
.line.risk{stroke:var(--check2);stroke-dasharray:2 3}
.band{opacity:.16}
.band.stable{fill:var(--stable)}
.band.canary{fill:var(--canary)}
.fill.weight{fill:var(--muted);opacity:.2}
.rule{stroke-width:1.4;stroke-dasharray:5 4}
.rule.limit{stroke:var(--bad)}
svg .said.limit{fill:var(--bad)}
svg .value.stable{fill:var(--stable)}
svg .value.canary{fill:var(--canary)}
svg .value.excess{fill:var(--check0)}
.mark{stroke:var(--ground);stroke-width:1.5}
.mark.stable{fill:var(--stable)}
.mark.canary{fill:var(--canary)}
.mark.fail{fill:var(--bad)}
.between{stroke:var(--muted);stroke-width:1.5}
.leading{fill:var(--muted);opacity:.16}
svg .leads{font-weight:600;fill:var(--ink)}
"""

PAGE: Final = """
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--ground);color:var(--ink);
 font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
header,main,footer{max-width:60rem;margin:0 auto;padding:0 1.25rem}
header{padding-top:1.25rem}
h1{font-size:1.6rem;line-height:1.25;margin:0 0 .5rem;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:0 0 .35rem}
p{margin:.25rem 0}
.of{color:var(--muted);margin:0 0 .75rem;overflow-wrap:anywhere}
.banner{background:var(--card);border:1px solid var(--edge);border-left:.4rem solid var(--muted);
 border-radius:.5rem;padding:1.1rem 1.25rem;overflow-wrap:anywhere}
.banner.bad{border-left-color:var(--bad)}.banner.bad .symbol{color:var(--bad)}
.banner.good{border-left-color:var(--good)}.banner.good .symbol{color:var(--good)}
.banner.wait{border-left-color:var(--wait)}.banner.wait .symbol{color:var(--wait)}
.symbol{margin-right:.45rem}
dl.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(13rem,1fr));gap:.9rem 1.5rem;
 margin:1.4rem 0}
dl.facts div{min-width:0}
dt{color:var(--muted);font-size:.85rem}
dd{margin:0;overflow-wrap:anywhere}
section{margin:2.2rem 0}
.says{color:var(--muted);max-width:46rem}
ul.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1.4rem;padding:0;
 margin:.7rem 0 .3rem;font-size:.9rem}
ul.legend svg{vertical-align:-.1rem;margin-right:.45rem}
.picture svg{display:block;width:100%;height:auto;margin:.3rem 0}
.narrow{display:none!important}
details{margin:.4rem 0}
summary{cursor:pointer;color:var(--muted);font-size:.9rem;width:max-content;max-width:100%}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.35rem 1rem .35rem 0;border-bottom:1px solid var(--edge);
 vertical-align:top;overflow-wrap:break-word}
thead th{color:var(--muted);font-weight:600}
.short{white-space:nowrap}
.what{min-width:11rem}
tbody th{font-weight:400;white-space:nowrap}
tbody th.name{font-weight:600;white-space:normal;min-width:9rem;overflow-wrap:anywhere}
.verdict{white-space:nowrap}
.verdict.bad{color:var(--bad)}.verdict.good{color:var(--good)}.verdict.wait{color:var(--wait)}
code{font:.85rem/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
ul.lines{padding-left:1.2rem;margin:.3rem 0}
footer{color:var(--muted);font-size:.85rem;padding-bottom:2rem}
.hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
@media (max-width:40rem){
 h1{font-size:1.3rem}
 .wide{display:none!important}.narrow{display:block!important}
 table.looks td,table.looks th,table.checks td,table.checks th{display:block;border:0;
  padding:.1rem 0;white-space:normal}
 table.looks tr,table.checks tr{display:block;border-bottom:1px solid var(--edge);padding:.5rem 0}
 table.looks thead,table.checks thead{display:none}
}
@media print{
 :root{color-scheme:light;LIGHT}
 body{font-size:11pt}
 header,main,footer{max-width:none;padding:0}
 .wide{display:block!important}.narrow{display:none!important}
 details:not([open]) summary{display:none}
 section{break-inside:avoid-page}
 section.long{break-inside:auto}
 h2{break-after:avoid}
 tr{break-inside:avoid}
}
""".replace("LIGHT", _variables(LIGHT))

SHEET: Final = COLOURS + PICTURE + PAGE
"""Of the page."""

ALONE: Final = f"{COLOURS}{PICTURE}svg{{background:var(--ground)}}".replace("\n", "")
"""Of a picture that stands by itself in a document."""
