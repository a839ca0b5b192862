"""INT8 by edgesdk and its peers, side by side: accuracy, form of the graph, and what it costs."""
