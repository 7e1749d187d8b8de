"""Every figure of a result, by what is plotted."""
