"""The report of a fit: figures, words, and the page that holds them."""

from nlbprob.reporting.page import write_report as write_report
