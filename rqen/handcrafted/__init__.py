"""Hand-crafted features of tracklets, and the models of TDL and STA that are fitted on them.

Plain NumPy, OpenCV, scikit-image and scikit-learn: no network and no gradient loop.
"""
