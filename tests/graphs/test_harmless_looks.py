"""Looks, notes and numbers of files that people have are read over: they change no edge."""

from __future__ import annotations

import networkx as nx
import pytest

from causalplug.graphs.graph import CausalGraph

CHAIN = CausalGraph.parse("X -> Y -> Z")
DRAWN = """digraph G {
  graph [rankdir=LR, bgcolor="white", fontname="Helvetica", label="Figure 1", splines=true];
  node [shape=ellipse, style=filled, fillcolor="#ccddee", color=black, fontsize=12];
  edge [color=gray, penwidth=1.5, arrowsize=.8, fontname=Arial];
  X [label="X", xlabel="age", tooltip="t", URL="http://example.org", group=g1, peripheries=2];
  Y [color=red, style="filled,rounded", shape=box, unit="mm", mean=1.2];
  X -> Y [label="+0.3", color=blue, style=bold, weight=2, minlen=2, dir=forward, arrowhead=vee];
  Y -> Z [style=solid, constraint=false, headport=n, tailport=s, arrowtail=none];
}"""
LAID_OUT = """strict digraph "" {
  graph [bb="0,0,54,180"];
  node [label="\\N"];
  X [height=0.5, pos="27,162", width=0.75];
  X -> Y [pos="e,27,108.1 27,143.7 27,135.98 27,126.71 27,118.11"];
  Y -> Z [pos="e,27,36.1 27,71.7 27,63.9 27,54.7 27,46.1"];
}"""
CLUSTERS = """digraph {
  subgraph cluster_0 { label="Stage 1"; style=filled; color=lightgrey; X; Y; }
  X:e -> Y:w; Y -> Z;
  {rank=same; Y; Z}
}"""
DESCRIBED = """digraph {
  X [description="Body mass index measured at baseline", comment="latent heat in 1990"];
  X -> Y [description="known from trials"]; Y -> Z [strength=1.5, pvalue=.01, sign=positive];
}"""
DAGITTY = """dag {
bb="-2,-2,2,2"
X [exposure,pos="-1.0,0.2"]
Y [adjusted,pos="0,-1"]
Z [outcome,pos="1,0"]
X -> Y [pos="1,1"]
Y -> Z
}"""


@pytest.mark.parametrize("text", [DRAWN, LAID_OUT, CLUSTERS, DESCRIBED])
def test_looks_in_dot(text: str) -> None:
    assert CausalGraph.parse(text, "dot") == CHAIN


def test_looks_in_dagitty() -> None:
    assert CausalGraph.parse(DAGITTY, "dagitty") == CHAIN


def test_looks_in_networkx_and_the_files_that_it_writes() -> None:
    graph = nx.DiGraph([("X", "Y"), ("Y", "Z")])
    graph.nodes["X"].update(color="red", pos="1,2", layer=0, unit="mm", size=2.0)
    graph.edges["X", "Y"].update(weight=0.4, color="blue", label="b = 0.4", style="solid")
    assert CausalGraph.from_networkx(graph) == CHAIN
    assert CausalGraph.parse("\n".join(nx.generate_graphml(graph)), "graphml") == CHAIN
    assert CausalGraph.parse("\n".join(nx.generate_gml(graph)), "gml") == CHAIN


def test_notes_and_shapes_of_yed() -> None:
    text = """<graphml xmlns="http://graphml.graphdrawing.org/xmlns"
      xmlns:y="http://www.yworks.com/xml/graphml">
    <key attr.name="description" attr.type="string" for="node" id="d5"/>
    <key for="node" id="d6" yfiles.type="nodegraphics"/>
    <key for="edge" id="d10" yfiles.type="edgegraphics"/>
    <graph edgedefault="directed" id="G">"""
    for at, name in enumerate("XYZ"):
        text += f"""<node id="n{at}"><data key="d5">A note about cigarettes per day</data>
          <data key="d6"><y:ShapeNode><y:Fill color="#FFCC00"/><y:BorderStyle type="line"/>
          <y:NodeLabel>{name}</y:NodeLabel><y:Shape type="rectangle"/></y:ShapeNode></data>
          </node>"""
    for start, end in (("n0", "n1"), ("n1", "n2")):
        text += f"""<edge source="{start}" target="{end}"><data key="d10"><y:PolyLineEdge>
          <y:LineStyle color="#000000" type="line"/><y:Arrows source="none" target="standard"/>
          <y:BendStyle smoothed="false"/></y:PolyLineEdge></data></edge>"""
    assert CausalGraph.parse(text + "</graph></graphml>", "graphml") == CHAIN
